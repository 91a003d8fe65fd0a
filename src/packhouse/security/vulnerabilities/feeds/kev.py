"""The catalogue of Known Exploited Vulnerabilities of CISA, as JSON: https://www.cisa.gov/known-exploited-vulnerabilities.

A record says that a CVE is exploited, and nothing about packages.
"""

from __future__ import annotations

import msgspec

from packhouse.security.vulnerabilities.advisory import Advisory
from packhouse.security.vulnerabilities.feeds.reading import Most, Notes, identifier, moment, prose


class _Record(msgspec.Struct, rename="camel"):
    cve: str = msgspec.field(name="cveID")
    vulnerability_name: str = ""
    short_description: str = ""
    date_added: str | None = None


_decoder = msgspec.json.Decoder(_Record)


def advisory(data: bytes, notes: Notes) -> Advisory:
    """Read one record. Refused, or an error of msgspec, when it cannot be read; `notes` says what was left out."""
    record = _decoder.decode(data)
    return Advisory(
        id=identifier(record.cve),
        summary=prose(record.vulnerability_name, Most.SUMMARY),
        description=prose(record.short_description, Most.DESCRIPTION),
        modified_at=moment(record.date_added, "dateAdded", notes),
        known_exploited=True,
    )
