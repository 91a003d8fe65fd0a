"""What administrators do with feeds: create, update, delete, run, stop. Each is one unit with one audit event.

Whoever calls this makes sure that it is an administrator: a feed may name private addresses and files of the server.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from packhouse.catalog.installation import secrets
from packhouse.catalog.runs import LIVE
from packhouse.catalog.vulnerabilities import feeds as store
from packhouse.catalog.vulnerabilities import sources
from packhouse.catalog.vulnerabilities.feeds import KINDS, Feed, Spec
from packhouse.core.clock import SECOND
from packhouse.core.db import Unit
from packhouse.core.db.base import Reader
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import mask_url
from packhouse.core.jobs import cancel, hold
from packhouse.core.sealing import Sealer
from packhouse.workflows.feeding.run import KIND
from packhouse.workflows.feeding.schedule import start
from packhouse.workflows.feeding.turn import record_feed_event
from packhouse.workflows.running import offer
from packhouse.workflows.services import Services

_OSV = "https://osv-vulnerabilities.storage.googleapis.com/{}/all.zip"
_KEV = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
DEFAULTS = (
    Spec("osv-pypi", _OSV.format("PyPI"), "osv"),
    Spec("osv-cran", _OSV.format("CRAN"), "osv"),
    Spec("cisa-kev", _KEV, "kev"),
)
#: how long after the first start the default feeds run, in seconds
DEFAULT_DELAY = 300
#: between two runs by schedule, in seconds
SHORTEST, LONGEST = 60, 30 * 86_400
#: the name goes into the origin of statements (security.vulnerabilities.statements)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_URL = 2000
#: the mark that the default feeds were made once: who deletes them does not get them back
_MARK = "default-feeds"


async def list_feeds(reader: Reader) -> list[Feed]:
    """Return all feeds by name. One in the state `deleting` is still taking back what it said."""
    return await store.every(reader)


async def get_feed(reader: Reader, name: str) -> Feed:
    """Return a feed. Raises PackhouseError("not_found")."""
    return _there(await store.by_name(reader, name))


async def create_feed(services: Services, actor: str, spec: Spec, *, run_now: bool = False) -> Feed:
    """Add a feed; it runs by its schedule, the first time at once if it is enabled or asked to.

    Raises PackhouseError: `bad_request`, `conflict` for a name that is taken.
    """
    _check(spec)

    async def work(unit: Unit) -> Feed:
        if await store.by_name(unit, spec.name) is not None:
            raise PackhouseError("conflict", f"There is a feed named {spec.name!r} already.", "Choose another name.")
        feed = await _add(services.sealer, unit, actor, spec, unit.now)
        if run_now or spec.enabled:
            await start(unit, feed, actor if run_now else "")
        return await _held(unit, feed.id)

    return await services.db.write(work)


async def update_feed(services: Services, name: str, actor: str, spec: Spec, *, run_now: bool = False) -> Feed:
    """Replace all but the name; a run that is under way begins anew. Another source is read at once if enabled.

    A source that comes back as it was shown, without its secrets, stays; so does a kind that was found out.
    Raises PackhouseError: `bad_request`, `not_found`.
    """
    known = await get_feed(services.db, name)
    if spec.name != known.name:
        raise PackhouseError("bad_request", "A feed keeps its name.", "Create another feed and delete this one.")

    async def work(unit: Unit) -> Feed:
        await (offer(unit, KIND, str(known.id)) if run_now else hold(unit, KIND, str(known.id)))
        now = await _held(unit, known.id)
        wanted = _unshown(services.sealer, spec, now)
        _check(wanted)
        other = wanted.kind != now.kind or not sources.is_at(services.sealer, now, wanted.source)
        due = unit.now if other or now.next_run_at is None else now.next_run_at
        due = min(due, unit.now + wanted.every_seconds * SECOND)
        unsettled = now.settled_run < now.run
        if other:
            now.progress.kind = ""
            await store.set_progress(unit, now.id, now.progress)
            await store.forget(unit, now.id)
        kept, sealed = sources.seal(services.sealer, wanted)
        await store.edit(unit, now, kept, due if wanted.enabled or unsettled else None, sealed)
        edited = await _held(unit, now.id)
        await record_feed_event(unit, "feed_updated", actor, edited, _shown(wanted))
        if run_now:
            await start(unit, edited, actor)
        return await _held(unit, now.id)

    return await services.db.write(work)


async def delete_feed(services: Services, name: str, actor: str) -> None:
    """Delete a feed: what it said ends at once, as if its source said nothing any more, and then it is gone.

    Raises PackhouseError("not_found").
    """
    known = await get_feed(services.db, name)

    async def work(unit: Unit) -> None:
        await offer(unit, KIND, str(known.id))
        now = await _held(unit, known.id)
        await record_feed_event(unit, "feed_deleted", actor, now, {})
        await store.set_deleting(unit, now.id)

    await services.db.write(work)


async def run_feed_now(services: Services, name: str, actor: str, *, accept_shrink: bool = False) -> Feed:
    """Run a feed as soon as a worker is free, once more if it is running, also one that is disabled.

    `accept_shrink` is the answer to a run that stopped because the feed had lost most of its advisories, or all.
    Raises PackhouseError("not_found").
    """
    known = await get_feed(services.db, name)

    async def work(unit: Unit) -> Feed:
        await start(unit, known, actor, accept_shrink)
        now = await _held(unit, known.id)
        await record_feed_event(unit, "feed_run", actor, now, {"accept_shrink": True} if accept_shrink else {})
        return now

    return await services.db.write(work)


async def stop_feed(services: Services, name: str, actor: str) -> Feed:
    """Halt a feed that runs or waits to; what it said before holds.

    Raises PackhouseError: `not_found`, `conflict` when it does neither, or what it says now is already being applied.
    """
    known = await get_feed(services.db, name)

    async def work(unit: Unit) -> Feed:
        await hold(unit, KIND, str(known.id))
        now = await _held(unit, known.id)
        if now.state not in LIVE:
            raise PackhouseError("conflict", f"The feed {name!r} is not running: it is {now.state}.")
        if now.settled_run < now.run:
            raise PackhouseError(
                "conflict", f"What the feed {name!r} says now holds already.", "Wait until it is applied everywhere."
            )
        await cancel(unit, (KIND, str(now.id)))
        now.progress.withdraw()
        await store.set_state(unit, now.id, "stopped", now.progress)
        await store.set_next_run(unit, now)
        await record_feed_event(unit, "feed_stopped", actor, now, {})
        return await _held(unit, now.id)

    return await services.db.write(work)


async def ensure_feeds(services: Services) -> None:
    """Make the feeds an installation begins with, and those the settings name; what is there stays as it is."""
    settings = services.settings
    present = await store.every(services.db)
    made = not settings.default_feeds or await secrets.named(services.db, (_MARK,))
    if made and all(_among(services.sealer, present, source) for source in settings.feed_sources):
        return

    async def work(unit: Unit) -> None:
        present = await store.every(unit)
        specs = [(Spec(_name_of(source), source), unit.now) for source in settings.feed_sources]
        if settings.default_feeds and await secrets.add(unit, _MARK, b"made"):
            specs += [(spec, unit.now + DEFAULT_DELAY * SECOND) for spec in DEFAULTS]
        for spec, due in specs:
            if not _among(services.sealer, present, spec.source):
                names = {feed.name for feed in present}
                name = next(name for name in _names(spec.name) if name not in names)
                spec = msgspec.structs.replace(spec, name=name)
                present.append(await _add(services.sealer, unit, "system", spec, due))

    await services.db.write(work)


def _among(sealer: Sealer, present: list[Feed], source: str) -> bool:
    return any(sources.is_at(sealer, feed, source) for feed in present)


def _unshown(sealer: Sealer, spec: Spec, now: Feed) -> Spec:
    """Return the spec with what it has as it was shown replaced by what that stands for."""
    source = sources.opened(sealer, now) if spec.source == now.source else spec.source
    kind = now.kind if spec.kind == now.shown_kind else spec.kind
    return msgspec.structs.replace(spec, source=source, kind=kind)


def _name_of(source: str) -> str:
    """Return a name made of the end of an address, as it may be shown: names are."""
    parts = urlsplit(mask_url(source))
    text = _NO_NAME.sub("-", f"{parts.hostname or ''}{parts.path}").strip("-._")
    return text[-50:].lstrip("-._") or "feed"


def _names(name: str) -> list[str]:
    return [name, *(f"{name}-{number}" for number in range(2, 1000))]


async def _add(sealer: Sealer, unit: Unit, actor: str, spec: Spec, due: int) -> Feed:
    kept, sealed = sources.seal(sealer, spec)
    feed = await store.add(unit, kept, due if spec.enabled else None, sealed)
    await record_feed_event(unit, "feed_registered", actor, feed, _shown(spec))
    return feed


def _shown(spec: Spec) -> dict[str, object]:
    return {"kind": spec.kind, "enabled": spec.enabled, "every_seconds": spec.every_seconds}


def _check(spec: Spec) -> None:
    """Raise PackhouseError("bad_request") for what no feed can be."""
    if not _NAME.fullmatch(spec.name):
        raise _refusal("name", "it must be letters, digits, `.`, `_` and `-`, at most 64")
    if spec.kind and spec.kind not in KINDS:
        raise _refusal("kind", f"it must be one of {', '.join(KINDS)}, or empty")
    if not SHORTEST <= spec.every_seconds <= LONGEST:
        raise _refusal("every_seconds", f"it must be from {SHORTEST} to {LONGEST}")
    try:
        parts = urlsplit(spec.source)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        fine |= parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/")
    except ValueError:
        fine = False
    if not fine or len(spec.source) > _MAX_URL or not spec.source.isprintable() or "%00" in spec.source:
        shown = mask_url(spec.source)[:200]
        raise _refusal("source", f"{shown!r} is no http or https address, and no file:///PATH")


def _refusal(field: str, why: str) -> PackhouseError:
    return PackhouseError("bad_request", f"The field `{field}` of the feed cannot be used: {why}.")


async def _held(unit: Unit, feed_id: int) -> Feed:
    """Return the feed as it stays until the unit has ended. Raises PackhouseError("not_found")."""
    return _there(await store.hold(unit, feed_id))


def _there(feed: Feed | None) -> Feed:
    if feed is None or feed.state == "deleting":
        raise PackhouseError("not_found", "There is no such feed.", "List the feeds to see what there is.")
    return feed
