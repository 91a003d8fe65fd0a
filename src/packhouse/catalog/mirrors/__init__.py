"""Mirrors: where files of a channel come from, when, which of them, and how the last run went."""
