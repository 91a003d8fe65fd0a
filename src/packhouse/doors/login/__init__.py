"""The pages on which people sign in, and what goes to and fro between them and identity providers."""
