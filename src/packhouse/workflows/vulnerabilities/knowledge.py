"""What can be known at all: how old the data of feeds is, and of which packages it could say something.

There are three answers, never two: affected, not affected, and unknown. A package that no alias ties to an ecosystem
we have advisories of is unknown, and so is every package while no feed was read. Unknown is never shown as clean.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from packhouse.catalog.vulnerabilities import feeds
from packhouse.core.clock import to_iso
from packhouse.core.db.base import Reader
from packhouse.security.policies.rules.vulnerabilities import SETTLED
from packhouse.security.vulnerabilities.advisory import Status
from packhouse.security.vulnerabilities.aliases import is_mapped
from packhouse.workflows.judging import store
from packhouse.workflows.judging.learning import upstream_of

Answer = Literal["affected", "not_affected", "unknown"]


class Knowledge(msgspec.Struct, frozen=True):
    """How old the data is. Times are microseconds."""

    as_of: int | None  #: every feed that was ever read said so then or later; None: no data
    since: int | None  #: since when there is no data; None: there is some, or nobody asks for any
    waiting: list[str]  #: feeds that were never read
    message: str  #: the same for people


async def knowledge(reader: Reader) -> Knowledge:
    """Return how old the data of feeds is."""
    every = [feed for feed in await feeds.every(reader) if feed.state != "deleting"]
    waiting = [feed.name for feed in every if feed.last_success_at is None]
    read = [feed.last_success_at for feed in every if feed.last_success_at is not None]
    if read:
        rest = f" Not read yet: {', '.join(waiting)}." if waiting else ""
        return Knowledge(min(read), None, waiting, f"Data of feeds as of {to_iso(min(read))}.{rest}")
    if not every:
        return Knowledge(None, None, [], "There is no feed of advisories: nothing is known of vulnerabilities.")
    since = min(feed.created_at for feed in every)
    return Knowledge(None, since, waiting, f"No data since {to_iso(since)}: no feed could be read yet.")


async def mapped_names(reader: Reader, family: str, names: Collection[str]) -> set[str]:
    """Return those of the packages whose vulnerabilities can be known."""
    covered = await store.covering_now(reader)
    upstream = await upstream_of(reader, family, names) if covered else {}
    return {name for name, aliases in upstream.items() if is_mapped(aliases, covered)}


def answer(statuses: Iterable[Status], mapped: bool) -> Answer:
    """Return the answer for a file or package with these findings: all must be settled for it not to be affected."""
    known = set(statuses)
    if known.difference(SETTLED):
        return "affected"
    return "not_affected" if known or mapped else "unknown"
