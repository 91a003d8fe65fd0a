"""The Python format: versions, file names, metadata, the simple index."""
