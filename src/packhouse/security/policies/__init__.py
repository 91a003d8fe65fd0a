"""Policies: which files may be seen, decided in one place from what is known about each."""
