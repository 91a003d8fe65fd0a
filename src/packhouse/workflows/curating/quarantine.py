"""Bytes that somebody holds back by hand, everywhere and whatever the policy: put there, looked at, let go again.

They are named by their SHA-256, so that the same file in another channel, or one that comes tomorrow, is held back too,
whatever package it is said to be.
"""

from __future__ import annotations

import re
from functools import partial

import msgspec

from packhouse.catalog.audit.store import record_event
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.packages import downloads, entries
from packhouse.catalog.packages.downloads import Downloaded
from packhouse.catalog.vulnerabilities import quarantine, statements, unjudged
from packhouse.catalog.vulnerabilities.quarantine import Place
from packhouse.catalog.vulnerabilities.statements import Quarantined
from packhouse.core.db import Database, Unit
from packhouse.core.errors import PackhouseError
from packhouse.workflows.judging.rejudging import judge_now
from packhouse.workflows.services import Services

MAX_REASON = 2000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Case(msgspec.Struct, frozen=True):
    """Bytes in quarantine, where they are, and who has them."""

    what: Quarantined
    places: list[Place]  #: in all channels
    downloads: list[Downloaded]  #: the latest first


async def hold_back(services: Services, actor: str, sha256: str, reason: str) -> Case:
    """Put bytes into quarantine, whether anybody has them yet or not; bytes that are there stay as they are.

    Raises PackhouseError("bad_request") for what is no SHA-256 and for a reason that is none.
    """
    digest = _digest(sha256)
    if not reason.strip() or len(reason) > MAX_REASON or "\0" in reason:
        raise PackhouseError(
            "bad_request", f"`reason` needs 1 to {MAX_REASON} characters.", "Say why, for those who are refused."
        )
    places = await _places(services.db, digest)
    packages = {place.package for place in places}
    family, name = packages.pop() if len(packages) == 1 else ("", "")
    filename = places[0].filename if places else ""

    async def work(unit: Unit) -> None:
        one = Quarantined(digest, family, name, filename, reason.strip(), actor, unit.now)
        if await statements.hold_back(unit, one):
            await _tell(unit, "file_quarantined", actor, one, places)

    await services.db.write(work)
    await _catch_up(services, digest, places)
    return await look_at(services.db, sha256)


async def let_go(services: Services, actor: str, sha256: str) -> None:
    """Take bytes out of quarantine: what other rules say of them holds again.

    Raises PackhouseError: `bad_request`, `not_found`.
    """
    digest = _digest(sha256)
    places = await _places(services.db, digest)

    async def work(unit: Unit) -> None:
        one = await quarantine.find(unit, digest)
        if one is None or not await statements.let_go(unit, digest):
            raise _not_there()
        await _tell(unit, "file_released", actor, one, places)

    await services.db.write(work)
    await _catch_up(services, digest, places)


async def look_at(db: Database, sha256: str) -> Case:
    """Return bytes in quarantine, where they are and who downloaded them.

    Raises PackhouseError: `bad_request`, `not_found`.
    """
    digest = _digest(sha256)
    one = await quarantine.find(db, digest)
    if one is None:
        raise _not_there()
    return Case(one, await _places(db, digest), await downloads.who_bytes(db, digest))


async def sha256_of(db: Database, here: Channel, family: str, ckey: str) -> str:
    """Return the SHA-256 of a file of a channel: of the bytes we hold, else what its record promises.

    Raises PackhouseError: `not_found`, `conflict` when nobody knows it.
    """
    partition, _, filename = ckey.rpartition("/")
    plain = "\0" not in ckey + family
    found = await entries.find(db, here.id, family, partition, filename) if plain else None
    if found is None:
        raise PackhouseError("not_found", f"{here.path!r} has no file {ckey[:200]!r}.", "List the files of a package.")
    if found.sha256 is None:
        raise PackhouseError(
            "conflict",
            f"Nobody knows the SHA-256 of {ckey[:200]!r}: it was not fetched yet, and its source does not say.",
            "Remove it from the channel, or fetch it first.",
        )
    return bytes(found.sha256).hex()


async def _tell(unit: Unit, kind: str, actor: str, one: Quarantined, places: list[Place]) -> None:
    data = {
        "sha256": one.sha256.hex(),
        "reason": one.reason,
        "files": len(places),
        "channels": len({place.channel for place in places}),
    }
    named = {"family": one.family, "name": one.name} if one.family else {}
    about = one.filename or one.sha256.hex()
    await record_event(unit, type=kind, actor=actor, object=about, data={**named, **data})
    await unjudged.add(unit, {place.package for place in places} | ({(one.family, one.name)} if one.family else set()))


async def _catch_up(services: Services, digest: bytes, known: list[Place]) -> None:
    """Let what was decided hold before it is answered: for whoever asks this process next, and within a poll for all.

    Files that came meanwhile, by units that could not see what was decided, are judged as well.
    """
    await services.db.write(channels.hold_all)
    here = {place.package for place in await _places(services.db, digest)}
    if late := here - {place.package for place in known}:
        await services.db.write(partial(unjudged.add, names=late))
    await judge_now(services, here)
    await services.feed.poll()


async def _places(db: Database, digest: bytes) -> list[Place]:
    return sorted({*await quarantine.held(db, digest), *await quarantine.claimed(db, digest)})


def _digest(text: str) -> bytes:
    if not _SHA256.fullmatch(text):
        raise PackhouseError("bad_request", f"`sha256`: {text[:80]!r} is none.", "It has 64 hexadecimal digits.")
    return bytes.fromhex(text)


def _not_there() -> PackhouseError:
    return PackhouseError("not_found", "These bytes are not in quarantine.", "List the quarantine to see what is.")
