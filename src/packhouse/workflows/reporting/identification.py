"""What clients have to say of themselves when they fetch conda packages and indexes, if the organisation wants it.

`anaconda-anon-usage` and `anaconda-ident` let conda add short tokens to its User-Agent: `… c/AxQ s/9fT e/Zp3`.
Others can send them as well. A token identifies nobody who does not want to be: it is a help for reports, no lock.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.changes import Change, ChangeFeed
from packhouse.catalog.options import store
from packhouse.core.clock import SECOND, from_iso, monotonic
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError

NAME = "anaconda_ident_settings"
Kind = Literal["client", "session", "environment", "username", "hostname", "environment_name", "organization"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: nobody can be asked for the last two: a client has them only when somebody is signed in, or the machine is managed
_LETTERS: dict[str, str] = {**dict(zip("cseuhno", KINDS, strict=True)), "a": "account", "m": "machine"}
_TOKEN = re.compile(rf"(?<!\S)([{''.join(_LETTERS)}])/(\S+)")


class IdentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whether clients have to identify themselves, from when on, and by which tokens."""

    enabled: bool = False
    enable_from: str | None = None  #: ISO 8601; null: at once
    selected_tokens: list[Kind] = []

    def begins_in(self, now: int) -> float:
        """Return in how many seconds requests need the tokens, counted from a time (µs); infinite: they never do."""
        if not self.enabled:
            return math.inf
        return (from_iso(self.enable_from) - now) / SECOND if self.enable_from else 0.0


@lru_cache(maxsize=20_000)
def kinds_sent(user_agent: str) -> frozenset[str]:
    """Return which kinds of tokens a User-Agent has."""
    return frozenset(tokens_sent(user_agent))


def tokens_sent(user_agent: str) -> dict[str, str]:
    """Return the tokens of a User-Agent by kind; of organisations and machines there may be several, in one text."""
    found: dict[str, str] = {}
    for letter, value in _TOKEN.findall(user_agent):
        kind = _LETTERS[letter]
        found[kind] = f"{found[kind]} {value}" if kind in found else value
    return found


async def read(db: Database) -> IdentSettings:
    """Return what is set now."""
    return msgspec.convert(await store.get(db, NAME) or {}, IdentSettings)


async def change(
    db: Database,
    actor: str,
    *,
    enabled: bool | UnsetType = UNSET,
    enable_from: str | UnsetType | None = UNSET,
    selected_tokens: list[Kind] | UnsetType = UNSET,
) -> IdentSettings:
    """Change what is given and leave the rest. Raises PackhouseError("bad_request") for a time that is none."""
    given = {"enabled": enabled, "enable_from": enable_from or None, "selected_tokens": selected_tokens}
    wanted = {name: value for name, value in given.items() if value is not UNSET}
    if enable_from is UNSET:
        del wanted["enable_from"]
    elif enable_from:
        _check_time(enable_from)

    async def work(unit: Unit) -> IdentSettings:
        before = msgspec.convert(await store.hold(unit, NAME) or {}, IdentSettings)
        now = msgspec.structs.replace(before, **wanted)
        if now != before:
            await store.put(unit, NAME, now)
            await record_event(
                unit, type="setting_updated", actor=actor, object=NAME, data={"value": msgspec.to_builtins(now)}
            )
        return now

    return await db.write(work)


def _check_time(text: str) -> None:
    try:
        from_iso(text)
    except (ValueError, OverflowError):
        raise PackhouseError(
            "bad_request", f"`enable_from`: {text[:40]!r} is no time.", "Write it like 2027-01-31."
        ) from None


class _Known(NamedTuple):
    """What one process knows of what clients have to send."""

    kinds: frozenset[str]
    begins: float  #: when (monotonic) they have to: the day begins by the database's clock, for all processes at once


class Identification:
    """Knows for one process what clients have to send; an answer of the database is kept until it is changed."""

    def __init__(self, db: Database, feed: ChangeFeed) -> None:
        self._db, self._feed = db, feed
        self._known: _Known | None = None
        feed.listen(self._follow, self._forget)

    def _follow(self, changed: Change) -> None:
        if changed.kind == "setting":
            self._forget()

    def _forget(self) -> None:
        self._known = None

    @property
    def may_matter(self) -> bool:
        """Whether an answer may depend on what a client says of itself."""
        return self._known is None or self._known.begins < math.inf

    async def check(self, user_agent: str) -> None:
        """Raise PackhouseError("client_not_identified") unless a client sends what is asked for."""
        known = self._known
        if known is None or not self._feed.fresh:
            epoch = self._feed.epoch
            known = await self._ask()
            self._known = known if self._feed.epoch == epoch else None
        if monotonic() < known.begins:
            return
        if missing := known.kinds - kinds_sent(user_agent):
            names = ", ".join(kind.replace("_", " ") for kind in KINDS if kind in missing)
            raise PackhouseError(
                "client_not_identified",
                f"This server asks clients for tokens that this one did not send: {names}.",
                "Install anaconda-anon-usage or anaconda-ident beside conda and let it send them, or ask the"
                " administrator which client to use.",
            )

    async def _ask(self) -> _Known:
        settings = await read(self._db)
        begins_in = settings.begins_in(await self._db.now())
        return _Known(frozenset(settings.selected_tokens), monotonic() + begins_in)
