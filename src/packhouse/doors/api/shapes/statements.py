"""What is said of vulnerabilities in files, on the wire."""

from __future__ import annotations

import msgspec

from packhouse.catalog.vulnerabilities.statements import StatementRow
from packhouse.core.clock import to_iso
from packhouse.doors.api.words import JudgedStatus


class StatementShape(msgspec.Struct, kw_only=True):
    """Somebody's judgement of a vulnerability in some files of a package."""

    id: int | None  #: null: it stands in the package itself
    cve: str  #: the key of the vulnerability
    family: str
    name: str  #: of the package
    spec: str  #: version and build of a match spec; empty: every file
    sha256: str  #: of the one file it is about; else empty
    status: JudgedStatus
    note: str
    author: str
    origin: str  #: `user`, `feed:NAME` or `builder`; users count before feeds, and these before builders
    at: str  #: RFC 3339


def statement_shape(row: StatementRow) -> StatementShape:
    """Fill the shape of a statement."""
    values = row._asdict() | {"id": row.id or None, "cve": row.key, "at": to_iso(row.at) or ""}
    del values["key"]
    return StatementShape(**values)
