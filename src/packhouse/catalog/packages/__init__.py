"""Packages and their files: content, records, entries, bindings, and what is shown of them."""
