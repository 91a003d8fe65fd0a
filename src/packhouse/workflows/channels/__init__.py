"""Channels are created, edited, frozen and deleted: each verb is one unit of work with one audit event."""
