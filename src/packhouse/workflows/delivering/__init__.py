"""One file to one reader: the channel, the right, the gate, the bytes, the count."""
