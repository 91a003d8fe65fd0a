"""Benches: the work of the table of goals, done by Packhouse and by its peers in one go."""
