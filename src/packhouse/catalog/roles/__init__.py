"""Roles: named sets of levels, which accounts and groups hold."""
