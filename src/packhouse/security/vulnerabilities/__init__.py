"""Vulnerabilities: what advisories say, which files they are about, and what was found out about those."""
