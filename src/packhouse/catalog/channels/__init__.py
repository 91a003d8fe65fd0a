"""Channels: names, privacy, freezing, and where they stand."""
