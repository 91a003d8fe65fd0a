"""Signing in through others: who vouches for people, and what they are here because of it."""
