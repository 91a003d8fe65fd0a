"""A line of a CVE report, the same in JSON and as cells."""

from __future__ import annotations

import msgspec

from packhouse.core.clock import to_iso
from packhouse.security.vulnerabilities.advisory import severity
from packhouse.security.vulnerabilities.scores import decimal
from packhouse.workflows.vulnerabilities.report import Line


class ReportLine(msgspec.Struct, kw_only=True):
    """A file and one vulnerability it has."""

    cve: str
    score: float | None
    severity: str
    status: str
    exploited: bool
    channel: str
    family: str
    name: str
    version: str
    build: str
    platform: str
    filename: str
    sha256: str | None
    fixed_in: str | None
    hidden_by: str | None
    published_at: str | None
    modified_at: str | None
    curated_at: str | None
    author: str
    note: str
    summary: str


COLUMNS = ReportLine.__struct_fields__


def report_line(line: Line) -> ReportLine:
    """Fill a line of a report."""
    row, file, said = line.vulnerability, line.judged.file, line.judged.statement
    return ReportLine(
        cve=row.key,
        score=decimal(row.score),
        severity=severity(row.score),
        status=line.judged.status,
        exploited=row.exploited,
        channel=file.channel,
        family=file.family,
        name=file.name,
        version=file.version,
        build=file.build,
        platform=file.partition,
        filename=file.filename,
        sha256=bytes(file.sha256).hex() if file.sha256 else None,
        fixed_in=file.fixed_in or None,
        hidden_by=file.hidden_by,
        published_at=to_iso(row.published_at),
        modified_at=to_iso(row.modified_at),
        curated_at=to_iso(said.at) if said else None,
        author=said.author if said else "",
        note=said.note if said else "",
        summary=row.summary,
    )


def cells(line: ReportLine) -> list[object]:
    """Return a line as the cells of a table, in the order of COLUMNS."""
    found = [getattr(line, name) for name in COLUMNS]
    return ["yes" if value is True else "no" if value is False else value for value in found]
