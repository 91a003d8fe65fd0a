"""How packages and files stand, on the wire: affected, not affected, or unknown, and how old the data is."""

from __future__ import annotations

from typing import Any

import msgspec

from packhouse.core.clock import to_iso
from packhouse.doors.api.parameters import Page
from packhouse.doors.api.shapes.cves import CveShape
from packhouse.doors.api.words import CveAnswer, CveSeverity, CveStatus
from packhouse.security.vulnerabilities.advisory import severity
from packhouse.security.vulnerabilities.scores import decimal
from packhouse.workflows.vulnerabilities.knowledge import Knowledge
from packhouse.workflows.vulnerabilities.packages import Standing


class KnowledgeShape(msgspec.Struct, kw_only=True):
    """How old the data of feeds is. Times are RFC 3339."""

    as_of: str | None  #: every feed that was read at all said so then or later; null: no data
    no_data_since: str | None  #: null: there is data, or no feed that could bring any
    waiting: list[str]  #: feeds that were never read
    message: str


class StandingShape(msgspec.Struct, kw_only=True):
    """How a file or a package stands."""

    answer: CveAnswer  #: `unknown`: no advisory would name it; that is not the same as not affected
    score: float | None
    severity: CveSeverity
    status: CveStatus | None  #: the worst; null: nothing was found
    cve_count: int


class PackageCves(StandingShape, kw_only=True):
    """A page of the vulnerabilities of a package or a file, and how it stands, whatever the filters of the page."""

    items: list[CveShape]
    total_count: int  #: over all pages
    knowledge: KnowledgeShape


def knowledge_shape(known: Knowledge) -> KnowledgeShape:
    """Fill the shape of how old the data is."""
    return KnowledgeShape(
        as_of=to_iso(known.as_of), no_data_since=to_iso(known.since), waiting=known.waiting, message=known.message
    )


def package_cves(page: Page[CveShape], one: Standing, known: Knowledge) -> PackageCves:
    """Fill the shape of a page."""
    shown = knowledge_shape(known)
    return PackageCves(items=page.items, total_count=page.total_count, knowledge=shown, **standing_members(one))


def standing_members(one: Standing) -> dict[str, Any]:
    """Return the members of a StandingShape, for shapes that have them too."""
    return {
        "answer": one.answer,
        "score": decimal(one.score),
        "severity": severity(one.score),
        "status": one.status,
        "cve_count": one.count,
    }
