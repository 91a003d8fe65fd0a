"""Other repositories, run as their documentation says and pinned where they need it."""
