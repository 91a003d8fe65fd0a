"""The only place that opens archives: bounded readers for zip, tar, zstd and bzip2."""
