"""The audit trail goes to files by a schedule: none lost, none twice, and no file when nothing happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhouse.app import _duties
from packhouse.catalog.audit import runs
from packhouse.catalog.audit.chain import seal
from packhouse.catalog.installation.audit_key import load_signing_key
from packhouse.core.db import Unit
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import load
from packhouse.workflows.reporting import exporting
from packhouse.workflows.reporting.exporting import check_schedule, export_due
from tests.conftest import Backend
from tests.integration.reporting.test_event_export import check
from tests.kit.calls import read
from tests.kit.house import House, open_house
from tests.kit.keys import SEALER

EVERY_MINUTE, NEVER_SOON = "* * * * *", "0 0 29 2 *"


async def due(house: House) -> None:
    """Seal what happened, let a minute pass, and do the duty."""
    db = house.services.db
    key = await load_signing_key(db, SEALER)
    while await seal(db, key):
        pass

    async def a_minute_ago(unit: Unit) -> None:
        if not await unit.execute("UPDATE export_run SET at = at - 60000000"):
            await runs.add(unit, 0, "")
            await unit.execute("UPDATE export_run SET at = at - 60000000")

    await db.write(a_minute_ago)
    await export_due(house.services)


async def test_each_file_goes_on_where_the_last_one_ended(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "exports"
    async with open_house(backend, export_cron=EVERY_MINUTE, export_target=folder.as_uri()) as house:
        await house.channel("one")
        await due(house)
        assert [path.name for path in folder.iterdir()] == ["events-000000000001.jsonl"]
        await export_due(house.services)
        await due(house)
        await due(house)
        assert len(list(folder.iterdir())) == 1, "not before its time, and not when nothing happened"
        told = (await read(house.admin, "/api/events?type=events_exported"))["items"]
        assert [one["data"]["file"] for one in told] == ["events-000000000001.jsonl"]

        await house.channel("two")

        async def ends(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(exporting, "_note", ends)
            await due(house)
        await house.channel("three")
        await due(house)
        files = sorted(folder.iterdir())
        assert len(files) == 2, "what was written before the process ended was written again, whole"
        key = (await read(house.admin, "/api/events/keys"))["public_key"]
        last = (await read(house.admin, "/api/events?type=events_exported"))["items"][0]["data"]["last"]
        assert check("--key", key, *files) == (0, f"{last} events, up to number {last}: whole\n")


async def test_of_its_runs_the_last_one_is_kept(backend: Backend, tmp_path: Path) -> None:
    async with open_house(backend, export_cron=EVERY_MINUTE, export_target=(tmp_path / "exports").as_uri()) as house:
        for _ in range(4):
            await due(house)
        db = house.services.db
        before = await runs.last(db)
        assert await db.write(lambda unit: runs.forget_old(unit, limit=2)) == 2
        [forgetting] = [duty for duty in await _duties(house.services) if duty.name == "old rows"]
        await forgetting.function()
        assert await db.fetch_value("SELECT count(*) FROM export_run") == 1
        assert await runs.last(db) == before


async def test_to_a_bucket_and_as_a_table(backend: Backend, tmp_path: Path) -> None:
    if not backend.blob_url.startswith("s3:"):
        pytest.skip("a folder is tried above")
    import obstore

    from packhouse.core.blobs.s3 import S3Place

    target = f"{backend.blob_url.rstrip('/')}/audit"
    async with open_house(backend, export_cron=EVERY_MINUTE, export_target=target, export_format="csv") as house:
        await due(house)
        s = house.services.settings
        bucket, _, prefix = target.removeprefix("s3://").partition("/")
        place = S3Place(
            bucket,
            prefix,
            endpoint=s.s3_endpoint,
            access_key=s.s3_access_key,
            secret_key=s.s3_secret_key,
            region=s.s3_region,
        )
        [found] = obstore.list(place._bucket, prefix).collect()
        assert found["path"] == f"{prefix}/events-000000000001.csv"
        assert bytes(obstore.get(place._bucket, found["path"]).bytes()).startswith(b"number,id,time,type")


async def test_not_before_its_time(backend: Backend, tmp_path: Path) -> None:
    async with open_house(backend, export_cron=NEVER_SOON, export_target=(tmp_path / "x").as_uri()) as house:
        await due(house)
        assert not (tmp_path / "x").exists()


def test_a_schedule_that_cannot_work_is_refused_at_the_start(tmp_path: Path) -> None:
    for cron, target in (("every day", "file:///exports"), ("0 0 * * *", "")):
        with pytest.raises(PackhouseError) as refused:
            check_schedule(load({}, data_dir=tmp_path, export_cron=cron, export_target=target))
        assert refused.value.code == "bad_request"
    check_schedule(load({}, data_dir=tmp_path))
