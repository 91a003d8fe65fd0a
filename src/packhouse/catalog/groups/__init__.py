"""Groups of people: who is in them, what their roles give, and which channels they reach."""
