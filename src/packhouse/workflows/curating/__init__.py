"""What people say of vulnerabilities and files: decisions, their exchange as VEX, quarantine, names elsewhere, keys."""
