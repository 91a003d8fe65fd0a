"""Who asks: from what a request shows to a principal, and what slows down guessing."""
