"""Mirrors at work: what a source offers, what a run would change, the run, files fetched on demand, and schedules."""
