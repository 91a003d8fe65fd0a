"""Vulnerabilities as the catalogue holds them: feeds, their advisories, what those are about, and what was found."""
