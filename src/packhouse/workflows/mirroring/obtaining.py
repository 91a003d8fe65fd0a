"""One file from its upstream: downloaded, verified against its record, looked into, and kept. Nothing else is stored.

Bytes arrive in a partial file named by address and claims, so that a killed process only costs what was on the wire.
"""

from __future__ import annotations

from packhouse.catalog.mirrors import origins
from packhouse.catalog.mirrors.credentials import unseal
from packhouse.catalog.mirrors.holdings import Fetched, Wanted
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.mirrors.source import address, fetch_settings
from packhouse.catalog.packages import contents
from packhouse.catalog.packages.entries import Entry
from packhouse.core.blobs import Hashes, Writer
from packhouse.core.clock import monotonic
from packhouse.core.db import Database
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Expected, Fetcher
from packhouse.formats.base import Coordinate, Facts, Malformed
from packhouse.workflows.mirroring.upstream import file_url
from packhouse.workflows.services import Services


def fetcher_of(services: Services, mirror: Mirror) -> Fetcher:
    """Return the fetcher of a mirror's source, to be opened with `async with`."""
    settings, source = services.settings, unseal(services.sealer, mirror)
    return Fetcher(address(source), fetch_settings(source, settings.private_hosts, settings.mirror_concurrency))


async def locate(db: Database, entry: Entry) -> tuple[Mirror, Wanted, str]:
    """Return what a passive entry comes from, what it must be, and its address there.

    Raises PackhouseError("upstream_failed") when its mirror is gone.
    """
    source = await origins.source_of(db, entry.mirror_id, entry.origin_id)
    if source is None:
        raise PackhouseError(
            "upstream_failed",
            f"The mirror {entry.partition}/{entry.filename} would come from is gone.",
            "Upload the file, or mirror its source again.",
        )
    one = Wanted(
        entry.id,
        entry.family,
        entry.partition,
        entry.name,
        entry.filename,
        entry.record_id,
        entry.source_url,
        entry.sha256,
        entry.md5,
        entry.size,
    )
    base = "" if one.source_url else await origins.base_of(db, source, one.partition)
    return source.mirror, one, file_url(base, one.partition, one.filename, one.source_url)


def resume_key(mirror: Mirror, one: Wanted, url: str) -> str:
    """Return what names one version of the upstream's bytes."""
    claim = one.sha256 or one.md5
    return f"{mirror.uuid} {url} {claim.hex() if claim else one.size} {one.record_id}"


async def obtain(services: Services, fetcher: Fetcher, mirror: Mirror, one: Wanted, url: str) -> Fetched:
    """Bring the bytes of an entry into the blob store and return what they are.

    Raises PackhouseError: `upstream_failed` when they cannot be had, are not what the record says, or are no
    well-formed package of that name; `storage_full`, `try_later`. Then only the beginning of a download is kept.
    """
    async with partial(services, mirror, one, url) as writer:
        hashes = await receive(services, fetcher, writer, one, url)
        (facts,) = await services.sandbox.inspect_all([(writer.path, one.filename)])
        fetched = checked(writer, one, hashes, facts)
        await contents.rescue(services.db, bytes.fromhex(hashes.sha256))
        await writer.commit()
    return fetched


def partial(services: Services, mirror: Mirror, one: Wanted, url: str) -> Writer:
    """Return the writer that goes on where the last one of the same bytes ended."""
    return services.blobs.partial(resume_key(mirror, one, url))


async def receive(services: Services, fetcher: Fetcher, writer: Writer, one: Wanted, url: str) -> Hashes:
    """Bring the bytes of an entry into `writer`, for the caller to check and commit soon. Raises as `obtain` does."""
    expect = Expected(
        size=one.size,
        sha256=one.sha256.hex() if one.sha256 else None,
        md5=one.md5.hex() if one.md5 else None,
    )
    return await fetcher.download(url, writer, expect=expect, max_bytes=services.settings.upload_bytes)


def checked(writer: Writer, one: Wanted, hashes: Hashes, facts: Facts | Malformed) -> Fetched:
    """Return what was received, to be kept at once, if its bytes are of that coordinate; else drop it and raise."""
    fault = facts if isinstance(facts, Malformed) else _difference(one, facts.coordinate)
    if isinstance(facts, Facts) and fault is None:
        return Fetched(one, hashes, facts, monotonic())
    writer.discard()
    raise PackhouseError(
        "upstream_failed",
        f"{one.partition}/{one.filename} of the upstream is not a well-formed package: {fault}",
        "Nothing was stored. Tell whoever runs the upstream.",
    )


def _difference(one: Wanted, at: Coordinate) -> str | None:
    if (at.family, at.partition, at.name) == (one.family, one.partition, one.name):
        return None
    return f"It is {at.name} for {at.partition}, listed as {one.name} for {one.partition}."
