"""The rules, one small file each. A rule is pure: it looks at one file and says why it stays out, or nothing."""
