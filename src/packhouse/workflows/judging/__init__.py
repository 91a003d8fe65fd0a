"""Judging: what changed, which names that concerns, and what may be seen of them."""
