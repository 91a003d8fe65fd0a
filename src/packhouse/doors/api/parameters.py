"""The parameters many routes share, each described once for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

import msgspec
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter, SkipValidation

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups.group import Group
from packhouse.catalog.rights.principal import Principal
from packhouse.core.clock import end_from_iso, from_iso
from packhouse.core.errors import PackhouseError
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.services import Services

#: what databases of both kinds count up to, with room
MOST = 2**53
#: items of one page; lists have no cap, but one answer has a size that others need not wait for
PAGE_ITEMS = 10_000
#: text that PostgreSQL can hold
_NO_NUL = r"^[^\x00]*$"

Text = Annotated[str, msgspec.Meta(pattern=_NO_NUL, max_length=20_000)]
Word = Annotated[str, msgspec.Meta(pattern=_NO_NUL, max_length=512)]

Limit = Annotated[
    int,
    QueryParameter(
        ge=0,
        le=MOST,
        description="Items of this page, 10,000 at most; 0 answers the `total_count` only. Go on with `offset`.",
    ),
]
Offset = Annotated[int, QueryParameter(ge=0, le=MOST, description="Items to skip.")]
Sort = Annotated[
    str, QueryParameter(max_length=64, description="The field to order by; `-` before it: the largest first.")
]
Search = Annotated[
    str, QueryParameter(pattern=_NO_NUL, max_length=512, description="Words; each matches what begins with it.")
]
Filter = Annotated[str | None, QueryParameter(pattern=_NO_NUL, max_length=512)]
Moment = Annotated[
    str | None,
    QueryParameter(
        max_length=64,
        description="ISO 8601 date or time; without a zone it is UTC. A date that ends something is included whole.",
    ),
]
Bytes = Annotated[int | None, QueryParameter(ge=0, le=MOST, description="Size in bytes.")]
Number = Annotated[int, PathParameter(ge=0, le=MOST, description="The id as lists show it.")]

#: handed in by the application; nobody can send these
Caller = NamedDependency[SkipValidation[Principal]]
Here = NamedDependency[SkipValidation[Channel]]
ThisGroup = NamedDependency[SkipValidation[Group]]
House = NamedDependency[SkipValidation[Services]]
Login = NamedDependency[SkipValidation[Authenticator]]
Reserved = NamedDependency[SkipValidation[frozenset[str]]]

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list."""

    items: list[T]
    total_count: int  #: over all pages


def page_size(limit: int) -> int:
    """Return how many items a page has at most; who asked for more goes on with `offset`, as `total_count` tells."""
    return min(limit, PAGE_ITEMS)


def moment(name: str, text: str, *, end: bool = False) -> int:
    """Return microseconds since the epoch; of a bare date its start, or with `end` the end of that day (UTC).

    Raises PackhouseError("bad_request") naming the parameter.
    """
    try:
        return end_from_iso(text) if end else from_iso(text)
    except (ValueError, OverflowError):
        raise PackhouseError(
            "bad_request", f"`{name}`: {text[:40]!r} is no time.", "Write it like 2027-01-31T12:00:00Z."
        ) from None
