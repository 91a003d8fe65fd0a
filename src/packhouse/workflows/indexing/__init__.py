"""Dirty names become parts, parts become a revision, a revision is what clients read.

The index is a pure function of the catalogue: any part can be rendered again and gives the same bytes.
"""
