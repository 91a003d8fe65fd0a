"""Feeds of advisories: managed by people, taken in whole or not at all, and what follows from what they say."""
