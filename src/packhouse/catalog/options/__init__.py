"""What administrators change while the installation runs: by name, one JSON value each."""
