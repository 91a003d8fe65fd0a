"""What the management API answers, shape by shape: structures of wire.md A and B.4, and how they are filled."""
