"""Signatures that were found true, and the keys an administrator trusts."""
