"""People and other systems are told what was newly found in their channels."""
