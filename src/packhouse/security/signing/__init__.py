"""Who signed what: signatures are checked against the bytes they are about, and nothing else counts as signed."""
