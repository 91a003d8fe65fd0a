"""The rules, one small file each. A rule is pure: it looks at a batch and says which files stay out, and why."""
