"""Who is told what is newly found in a channel, and what was sent to whom."""
