"""What installing a file may bring along, on the wire."""

from __future__ import annotations

import msgspec

from packhouse.doors.api.shapes.standing import KnowledgeShape, StandingShape, knowledge_shape, standing_members
from packhouse.doors.api.words import CveAnswer
from packhouse.workflows.vulnerabilities.closure import Candidate, Closure, Dependency
from packhouse.workflows.vulnerabilities.knowledge import Knowledge


class CandidateShape(StandingShape, kw_only=True):
    """A file that may come along."""

    name: str
    version: str
    build: str
    ckey: str
    worst_cve: str | None  #: what is worst in it and neither mitigated nor cleared; null: nothing is


class DependencyShape(msgspec.Struct, kw_only=True):
    """What a file asks for."""

    spec: str
    name: str
    files_count: int  #: that satisfy it and can be installed from this channel
    newest: CandidateShape | None
    worst: CandidateShape | None  #: null: none has anything that is not settled


class ClosureShape(msgspec.Struct, kw_only=True):
    """Everything that may come along with a file: all builds that satisfy a dependency, directly or not."""

    ckey: str
    answer: CveAnswer  #: of all of it, without the file itself
    worst: CandidateShape | None
    files_count: int
    packages_count: int
    items: list[DependencyShape]
    total_count: int
    knowledge: KnowledgeShape


def closure_shape(ckey: str, one: Closure, known: Knowledge) -> ClosureShape:
    """Fill the shape of what may come along with a file."""
    return ClosureShape(
        ckey=ckey,
        answer=one.answer,
        worst=_candidate(one.worst),
        files_count=one.files,
        packages_count=one.packages,
        items=[_dependency(found) for found in one.dependencies],
        total_count=len(one.dependencies),
        knowledge=knowledge_shape(known),
    )


def _dependency(one: Dependency) -> DependencyShape:
    return DependencyShape(
        spec=one.spec,
        name=one.name,
        files_count=one.files,
        newest=_candidate(one.newest),
        worst=_candidate(one.worst),
    )


def _candidate(one: Candidate | None) -> CandidateShape | None:
    if one is None:
        return None
    return CandidateShape(
        name=one.name,
        version=one.version,
        build=one.build,
        ckey=one.ckey,
        worst_cve=one.worst,
        **standing_members(one.stands),
    )
