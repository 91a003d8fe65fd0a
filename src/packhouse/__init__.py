"""Packhouse: an on-premises, secure package repository for data-science teams."""

__version__ = "0.1.0"
