"""Tokens: what they are, reach and were last used for; and the accounts of machines."""
