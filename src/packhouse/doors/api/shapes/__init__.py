"""What the management API answers, shape by shape, as the existing command lines read it; and how shapes are filled."""
