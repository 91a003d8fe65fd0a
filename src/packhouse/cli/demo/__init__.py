"""`packhouse demo`: a server to look at, with a small upstream channel that the command makes itself, offline."""
