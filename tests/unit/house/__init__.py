"""The rules of the house, as tests: what a linter does not know."""
