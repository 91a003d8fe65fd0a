"""The CVE report of a channel: every file with every vulnerability found in it, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from packhouse.catalog.vulnerabilities import affected, reading
from packhouse.catalog.vulnerabilities.affected import Scope
from packhouse.catalog.vulnerabilities.reading import VulnerabilityRow
from packhouse.core.db import Database
from packhouse.workflows.vulnerabilities.statuses import Judged, judge


class Line(NamedTuple):
    """A file, what it has, and what that is there."""

    vulnerability: VulnerabilityRow
    judged: Judged


async def report(db: Database, scope: Scope) -> AsyncIterator[list[Line]]:
    """Yield the lines of a report in batches, by package, in constant memory."""
    async for batch in affected.stream(db, scope):
        known = await reading.by_ids(db, {row.vulnerability_id for row in batch})
        yield [Line(known[one.file.vulnerability_id], one) for one in await judge(db, batch, known)]
