"""People and their accounts: who vouches for them, what they prove it with, and what they are here because of it."""
