"""Who may do what: rules without I/O, and which channels somebody may see."""
