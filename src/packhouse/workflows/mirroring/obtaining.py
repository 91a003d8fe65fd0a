"""One file from its upstream: downloaded, verified against its record, looked into, and kept. Nothing else is stored.

Bytes arrive in a partial file named by address and claims, so that a killed process only costs what was on the wire.
"""

from __future__ import annotations

from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.holdings import FAMILY, Fetched, Wanted
from packhouse.catalog.mirrors.mirror import Mirror
from packhouse.catalog.mirrors.source import address, fetch_settings
from packhouse.catalog.packages import contents
from packhouse.core.blobs import Writer
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import Expected, Fetcher
from packhouse.formats.base import Facts, Malformed
from packhouse.workflows.mirroring.upstream import file_url
from packhouse.workflows.services import Services


def fetcher_of(services: Services, mirror: Mirror) -> Fetcher:
    """Return the fetcher of a mirror's source, to be opened with `async with`."""
    settings = services.settings
    return Fetcher(address(mirror), fetch_settings(mirror, settings.private_hosts, settings.mirror_concurrency))


async def url_of(services: Services, mirror: Mirror, one: Wanted) -> str:
    """Return where the bytes of an entry are, relative to the source or absolute."""
    base = "" if one.source_url else await store.base_url(services.db, mirror.id, one.partition)
    return file_url(base, one.partition, one.filename, one.source_url)


def resume_key(mirror: Mirror, one: Wanted, url: str) -> str:
    """Return what names one version of the upstream's bytes."""
    claim = one.sha256 or one.md5
    return f"{mirror.uuid} {url} {claim.hex() if claim else one.size} {one.record_id}"


async def obtain(services: Services, fetcher: Fetcher, mirror: Mirror, one: Wanted, url: str) -> Fetched:
    """Bring the bytes of an entry into the blob store and return what they are.

    Raises what `receive` raises, and then keeps nothing but the beginning of a download.
    """
    async with partial(services, mirror, one, url) as writer:
        fetched = await receive(services, fetcher, writer, one, url)
        await writer.commit()
    return fetched


def partial(services: Services, mirror: Mirror, one: Wanted, url: str) -> Writer:
    """Return the writer that goes on where the last one of the same bytes ended."""
    return services.blobs.partial(resume_key(mirror, one, url))


async def receive(services: Services, fetcher: Fetcher, writer: Writer, one: Wanted, url: str) -> Fetched:
    """Bring the bytes of an entry into `writer`, for the caller to commit soon, and return what they are.

    Raises PackhouseError: `upstream_failed` when they cannot be had, are not what the record says, or are no
    well-formed package of that name; `storage_full`, `try_later`.
    """
    expect = Expected(
        size=one.size,
        sha256=one.sha256.hex() if one.sha256 else None,
        md5=one.md5.hex() if one.md5 else None,
    )
    done = await fetcher.download(url, writer, expect=expect, max_bytes=services.settings.upload_bytes)
    fetched = Fetched(one, done.hashes, await _inspect(services, writer, one))
    await contents.rescue(services.db, bytes.fromhex(done.hashes.sha256))
    return fetched


async def _inspect(services: Services, writer: Writer, one: Wanted) -> Facts:
    """Return what the bytes say of themselves, when that is what their coordinate says."""
    try:
        facts = await services.sandbox.inspect(writer.path, one.filename)
        at = facts.coordinate
        if (at.family, at.partition, at.name) != (FAMILY, one.partition, one.name):
            raise Malformed(f"It is {at.name} for {at.partition}, listed as {one.name} for {one.partition}.")
    except Malformed as fault:
        writer.discard()
        raise PackhouseError(
            "upstream_failed",
            f"{one.partition}/{one.filename} of the upstream is not a well-formed package: {fault}",
            "Nothing was stored. Tell whoever runs the upstream.",
        ) from None
    return facts
