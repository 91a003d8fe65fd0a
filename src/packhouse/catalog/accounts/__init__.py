"""Accounts: who people are, what they may do, and the credentials they show."""
