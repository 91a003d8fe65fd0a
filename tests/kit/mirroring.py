"""What mirror tests need: services on a backend, a channel, a conda source to serve, and a worker to run jobs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from backports import zstd

from packhouse.app import build_services, close
from packhouse.catalog.accounts import store as accounts
from packhouse.catalog.accounts.passwords import NOBODY
from packhouse.catalog.channels import store as channels
from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.groups import owners
from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.mirror import Mirror, Options, Spec
from packhouse.catalog.runs import LIVE
from packhouse.core.db import Unit
from packhouse.core.jobs import Worker
from packhouse.core.settings import load
from packhouse.formats import registry
from packhouse.workflows.mirroring.editing import create_mirror, run_mirror_now
from packhouse.workflows.mirroring.run import mirror_handlers
from packhouse.workflows.mirroring.schedule import schedule_mirrors
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.jobs import PATIENCE


@asynccontextmanager
async def services_on(backend: Backend, env: Mapping[str, str] | None = None, **given: Any) -> AsyncIterator[Services]:
    """Yield services on a backend whose schema exists; `env` is another node's environment."""
    services = build_services(load(env or backend.env, **given))
    try:
        await services.feed.poll()
        yield services
    finally:
        await close(services)


async def make_test_channel(services: Services, path: str = "ours") -> Channel:
    """Create a channel, owned by somebody called `keeper`."""

    async def work(unit: Unit) -> None:
        keeper = await accounts.by_name(unit, "keeper")
        number = keeper.id if keeper else await accounts.insert_account(unit, "keeper", NOBODY)
        channel_id = await channels.insert_channel(unit, path, None, "", "public", number or 0)
        await owners.begin(unit, channel_id, path, number)

    await services.db.write(work)
    found = await channels.by_path(services.db, path)
    assert found is not None
    return found


class CondaSource:
    """The files of a conda channel: what `tests.kit.upstream.Upstream` serves or a folder holds."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, dict[str, Any]]] = {"noarch": {}}
        self.bytes: dict[str, bytes] = {}
        self.signatures: dict[str, dict[str, Any]] = {}
        self.info: dict[str, Any] = {}

    def add(
        self,
        name: str,
        version: str = "1.0",
        build: str = "0",
        subdir: str = "noarch",
        *,
        real: bool = True,
        **extra: Any,
    ) -> str:
        """Add a package and return its key `<subdir>/<filename>`; without `real` only its record."""
        depends = extra.get("depends", [])
        content = make_conda(name, version, build, subdir, depends, extra.pop("files", None))
        filename = f"{name}-{version}-{build}.conda"
        record = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": 0,
            "depends": depends,
            "subdir": subdir,
            "license": "MIT",
            "timestamp": 1_700_000_000_000,
            "sha256": hashlib.sha256(content).hexdigest(),
            "md5": hashlib.md5(content).hexdigest(),
            "size": len(content),
            **extra,
        }
        self.records.setdefault(subdir, {})[filename] = {
            key: value for key, value in record.items() if value is not None
        }
        self.bytes[f"{subdir}/{filename}"] = content
        return f"{subdir}/{filename}"

    def drop(self, ckey: str) -> None:
        """Take a package away."""
        subdir, filename = ckey.split("/")
        del self.records[subdir][filename]
        del self.bytes[ckey]

    def files(self, *, forms: Iterable[str] = ("json",)) -> dict[str, bytes]:
        """Return every file of the channel, its indexes in the given forms: json, zst, shards."""
        found = dict(self.bytes)
        for subdir, records in self.records.items():
            text = json.dumps(self._index(subdir, records)).encode()
            if "json" in forms:
                found[f"{subdir}/repodata.json"] = text
            if "zst" in forms:
                found[f"{subdir}/repodata.json.zst"] = zstd.compress(text)
            if "shards" in forms:
                found.update(self._shards(subdir, records))
        return found

    def _index(self, subdir: str, records: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "info": {"subdir": subdir, **self.info},
            "packages": {},
            "packages.conda": records,
            "removed": [],
            "repodata_version": 1,
            **({"signatures": self.signatures} if self.signatures else {}),
        }

    def _shards(self, subdir: str, records: Mapping[str, Any]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        shards: dict[str, bytes] = {}
        for name in sorted({record["name"] for record in records.values()}):
            mine = {
                filename: record | {key: bytes.fromhex(record[key]) for key in ("sha256", "md5") if key in record}
                for filename, record in records.items()
                if record["name"] == name
            }
            body = zstd.compress(msgspec.msgpack.encode({"packages": {}, "packages.conda": mine, "removed": []}))
            digest = hashlib.sha256(body)
            shards[name] = digest.digest()
            found[f"{subdir}/shards/{digest.hexdigest()}.msgpack.zst"] = body
        info = {"subdir": subdir, "base_url": "", "shards_base_url": "shards/", "created_at": "2026-01-01T00:00:00Z"}
        index = {"version": 1, "info": info | self.info, "shards": shards}
        found[f"{subdir}/repodata_shards.msgpack.zst"] = zstd.compress(msgspec.msgpack.encode(index))
        return found


async def add_mirror(
    services: Services, channel: Channel, source: str, *, administrator: bool = True, **spec: Any
) -> Mirror:
    """Create a mirror; `filters` and `options` may be given as dicts."""
    filters = msgspec.convert(spec.pop("filters", {}), Filters)
    options = msgspec.convert(spec.pop("options", {}), Options)
    wanted = Spec(spec.pop("name", "upstream"), source, filters=filters, options=options, **spec)
    return await create_mirror(services, channel, "ann", wanted, administrator=administrator)


async def run_and_wait(services: Services, mirror: Mirror, seconds: float = PATIENCE, **request: Any) -> Mirror:
    """Run a mirror now and return it once it has ended."""
    await run_mirror_now(services, mirror, "ann", **request)
    return await wait(services, mirror, seconds)


async def wait(services: Services, mirror: Mirror, seconds: float = PATIENCE) -> Mirror:
    """Work until the mirror neither runs nor waits to."""
    worker = Worker(services.db, mirror_handlers(services), "test")
    task = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(seconds):
            while (now := await get(services, mirror)).state in LIVE:
                await schedule_mirrors(services)
                await asyncio.sleep(0.02)
            return now
    finally:
        await worker.stop()
        await task


async def get(services: Services, mirror: Mirror) -> Mirror:
    """Return the mirror as it is now."""
    found = await store.by_id(services.db, mirror.id)
    assert found is not None
    return found


async def shown(services: Services, channel: Channel, subdir: str = "noarch") -> dict[str, dict[str, Any]]:
    """Return what clients see in the published repodata.json of a subdir: file name to record."""
    fragments = await services.db.fetch_all(
        "SELECT part.fragment FROM shelf JOIN part ON part.id = shelf.part_id WHERE shelf.channel_id = :c"
        " AND shelf.partition = :p AND shelf.to_rev IS NULL ORDER BY shelf.name",
        c=channel.id,
        p=subdir,
    )
    pieces = [zstd.decompress(bytes(row[0])) for row in fragments]
    document = json.loads(b"".join(registry.get("conda").assemble(subdir, pieces)))
    return {**document["packages"], **document["packages.conda"]}


async def events(services: Services, prefix: str = "mirror") -> list[tuple[str, str, dict[str, Any]]]:
    """Return (type, actor, data) of the audit events whose type begins so, oldest first."""
    rows = await services.db.fetch_all("SELECT type, actor, data FROM event ORDER BY id")
    return [(row[0], row[1], json.loads(row[2])) for row in rows if row[0].startswith(prefix)]
