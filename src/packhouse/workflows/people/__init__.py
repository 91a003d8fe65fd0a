"""Accounts, roles and tokens: made, changed and ended."""
