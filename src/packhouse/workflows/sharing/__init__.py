"""Who shares what with whom: groups and their members, channels shared with groups and users, owners and heirs."""
