"""What administrators are told: the audit trail in files, who downloaded what, and how it may be done."""
