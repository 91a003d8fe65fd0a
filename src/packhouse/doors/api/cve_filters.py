"""The filters that all lists of vulnerabilities share, those of the page of a package: one set of parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter, SkipValidation

from packhouse.doors.api.parameters import Moment, moment
from packhouse.doors.api.scores import Score, least, most
from packhouse.security.vulnerabilities.advisory import Status

_NO_NUL = r"^[^\x00]*$"
Name = Annotated[
    str | None, QueryParameter(pattern=_NO_NUL, max_length=320, description="A part of its key, or another name of it.")
]
Words = Annotated[
    str | None, QueryParameter(pattern=_NO_NUL, max_length=320, description="A part of its key or its summary.")
]
InStatus = Annotated[Status | None, QueryParameter(description="Those that have this status in a file.")]
OfKind = Annotated[Literal["vulnerability", "malware"] | None, QueryParameter(description="Only of this kind.")]
Order = Annotated[
    str,
    QueryParameter(
        max_length=64,
        description="latest (judged last first, then published last), or name, score, published, modified, curated; "
        "`-` before one of these: the largest first.",
    ),
]


class Asked:
    """What a list was asked for: `given` as `reading.vulnerabilities` takes it, and a status."""

    def __init__(self, status: Status | None, **given: Any) -> None:
        """Take the parameters of a request. Raises PackhouseError("bad_request") that names the one that is none."""
        self.status = status
        self.given = {name: _read(name, value) for name, value in given.items() if value not in (None, "")}


def asked_for(
    q: Words = None,
    cve: Name = None,
    score_from: Score = None,
    score_to: Score = None,
    status: InStatus = None,
    kind: OfKind = None,
    exploited: FromQuery[bool | None] = None,
    curated: FromQuery[bool | None] = None,
    withdrawn: FromQuery[bool | None] = None,
    curated_from: Moment = None,
    curated_to: Moment = None,
    modified_from: Moment = None,
    modified_to: Moment = None,
    published_from: Moment = None,
    published_to: Moment = None,
) -> Asked:
    """Read the filters of a request. Of scores both ends are included.

    Of times `…_from` is included and `…_to` is not, but a bare date is as a whole.
    """
    return Asked(
        status, text=q, name=cve, score_from=score_from, score_to=score_to, kind=kind, exploited=exploited,
        curated=curated, withdrawn=withdrawn, curated_from=curated_from, curated_to=curated_to,
        modified_from=modified_from, modified_to=modified_to, published_from=published_from, published_to=published_to,
    )  # fmt: skip


#: for a handler that takes `asked: Filters`
FILTERS = {"asked": Provide(asked_for, sync_to_thread=False)}
Filters = NamedDependency[SkipValidation[Asked]]


def _read(name: str, value: Any) -> Any:
    if name in ("score_from", "score_to"):
        return (least if name == "score_from" else most)(name, value)
    if name.endswith(("_from", "_to")):
        return moment(name, value, end=name.endswith("_to"))
    return int(value) if isinstance(value, bool) else value
