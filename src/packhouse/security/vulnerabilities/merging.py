"""One vulnerability out of what the advisories of all feeds say about it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import msgspec

from packhouse.security.vulnerabilities.advisory import Advisory, Kind, Vector
from packhouse.security.vulnerabilities.scores import headline


class Body(msgspec.Struct, frozen=True, array_like=True):
    """What people read of a vulnerability and nothing is searched by; stored as msgpack."""

    description: str = ""
    vectors: tuple[Vector, ...] = ()
    references: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()  #: its other identifiers
    feeds: tuple[str, ...] = ()  #: the names of those that say something of it


class Merged(msgspec.Struct, frozen=True):
    """One vulnerability. Times are microseconds, the score is in tenths; None: nobody gave one."""

    key: str
    kind: Kind
    score: int | None
    exploited: bool
    published_at: int | None
    modified_at: int | None
    withdrawn_at: int | None
    summary: str
    body: Body


def merge(key: str, said: Iterable[tuple[str, Advisory]]) -> Merged:
    """Return what advisories, each with the name of its feed, together say of the vulnerability `key`.

    At least one is needed; their order does not matter. What was withdrawn says nothing while another advisory
    stands. Texts are of the advisory that is about `key` by its own name, else of the first by feed and id.
    """
    by_weight = sorted(said, key=lambda one: (one[1].id != key, one[0], one[1].id))
    everything = [advisory for _, advisory in by_weight]
    standing = [advisory for advisory in everything if advisory.withdrawn_at is None] or everything
    withdrawn = [advisory.withdrawn_at for advisory in standing if advisory.withdrawn_at is not None]
    vectors = tuple(dict.fromkeys(chain.from_iterable(advisory.vectors for advisory in standing)))
    names = {name for advisory in everything for name in (advisory.id, *advisory.aliases)}
    return Merged(
        key,
        "malware" if any(advisory.kind == "malware" for advisory in standing) else "vulnerability",
        headline(vectors),
        any(advisory.known_exploited for advisory in standing),
        min((one.published_at for one in everything if one.published_at is not None), default=None),
        max((one.modified_at for one in everything if one.modified_at is not None), default=None),
        max(withdrawn, default=None),
        next((advisory.summary for advisory in standing if advisory.summary), ""),
        Body(
            next((advisory.description for advisory in standing if advisory.description), ""),
            vectors,
            tuple(dict.fromkeys(chain.from_iterable(advisory.references for advisory in standing))),
            tuple(sorted(names - {key})),
            tuple(sorted({feed for feed, _ in by_weight})),
        ),
    )
