"""Passive files on their first request: fetched once, verified, resumed, and never other than their record says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.mirrors import store
from packhouse.catalog.packages import entries
from packhouse.catalog.packages.entries import Entry
from packhouse.core import leases
from packhouse.core.errors import PackhouseError
from packhouse.workflows.channels.deleting import delete_channel
from packhouse.workflows.mirroring import fetching
from packhouse.workflows.mirroring.fetching import OnDemand
from packhouse.workflows.publishing.moving import copy
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.services import Services
from tests.conftest import Backend
from tests.kit.mirroring import CondaSource, add_mirror, make_test_channel, run_and_wait, services_on, shown
from tests.kit.upstream import Drops, Fails, Slow, Truncated, Upstream, WrongBytes


async def entry_of(services: Services, channel: Channel, ckey: str) -> Entry:
    partition, filename = ckey.split("/")
    found = await entries.find(services.db, channel.id, "conda", partition, filename)
    assert found is not None
    return found


async def mirrored(services: Services, up: Upstream, path: str = "ours") -> Channel:
    channel = await make_test_channel(services, path)
    mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
    assert mirror.state == "completed", mirror.progress
    return channel


async def test_many_clients_on_two_nodes_cause_one_download(backend: Backend, tmp_path: Path) -> None:
    source = CondaSource()
    key = source.add("flask", files={"data": b"x" * 200_000})
    node = backend.node(tmp_path / "other")
    async with (
        services_on(backend) as one,
        services_on(backend, env=node, data_dir=str(tmp_path / "other")) as two,
        Upstream(source.files()) as up,
    ):
        channel = await mirrored(one, up)
        passive = await entry_of(one, channel, key)
        up.misbehave(key, Slow(2_000))
        nodes = [OnDemand(one), OnDemand(two)]
        found = await asyncio.gather(*(node.fetch(channel, passive) for node in nodes for _ in range(50)))
        assert all(entry.active and (entry.sha256 or b"").hex() == sha(source, key) for entry in found)
        assert up.hits(key) == 1
        assert await one.blobs.exists(sha(source, key))


async def test_what_a_fetched_file_says_of_its_package_is_published_at_once(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        await OnDemand(services).fetch(channel, await entry_of(services, channel, key))
        summary = "SELECT summary FROM package WHERE channel_id = :c"
        assert await services.db.fetch_value(summary, c=channel.id) == "The flask package"


async def test_nothing_is_fetched_into_a_channel_that_was_deleted_meanwhile(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask", files={"data": b"x" * 50_000})
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        passive = await entry_of(services, channel, key)
        up.misbehave(key, Slow(2_000))
        fetch = asyncio.create_task(OnDemand(services).fetch(channel, passive))
        while not up.hits(key):
            await asyncio.sleep(0.01)
        await delete_channel(services, channel, "ann")
        up.misbehave(key)
        with pytest.raises(PackhouseError, match="gone"):
            await fetch


async def test_the_published_record_stays_as_upstream_wrote_it(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask", unknown_key={"a": [1, None]})
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        await OnDemand(services).fetch(channel, await entry_of(services, channel, key))
        record = (await shown(services, channel))["flask-1.0-0.conda"]
        assert {k: v for k, v in record.items() if k != "indexed_timestamp"} == source.records["noarch"][key[7:]]


@pytest.mark.parametrize("how", [WrongBytes(), Truncated(100)], ids=["wrong", "truncated"])
async def test_bytes_that_are_not_the_recorded_ones_are_refused(backend: Backend, how: WrongBytes) -> None:
    source = CondaSource()
    key = source.add("flask")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        up.misbehave(key, how)
        with pytest.raises(PackhouseError) as refused:
            await OnDemand(services).fetch(channel, await entry_of(services, channel, key))
        assert refused.value.code == "upstream_failed"
        assert not (await entry_of(services, channel, key)).active
        assert await services.db.fetch_value("SELECT count(*) FROM content") == 0
        up.misbehave(key)
        assert (await OnDemand(services).fetch(channel, await entry_of(services, channel, key))).active


async def test_a_file_that_is_no_package_is_refused_though_its_hash_is_right(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask", sha256=None, md5=None, size=None)
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        up.files[key] = b"PK\3\4 and then nonsense"
        demand = OnDemand(services)
        for _ in range(3):
            with pytest.raises(PackhouseError, match="from its upstream"):
                await demand.fetch(channel, await entry_of(services, channel, key))
        assert up.hits(key) == 1  # what proved unusable is not asked for again at once
        assert "not a well-formed package" in await reason_shown(services, channel, key)
        assert await services.db.fetch_value("SELECT count(*) FROM content") == 0


async def test_a_package_of_another_name_under_the_file_name_is_refused(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask", sha256=None, md5=None, size=None)
    source.add("evil")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        up.files[key] = source.bytes["noarch/evil-1.0-0.conda"]
        with pytest.raises(PackhouseError, match="from its upstream"):
            await OnDemand(services).fetch(channel, await entry_of(services, channel, key))
        assert "not a well-formed package" in await reason_shown(services, channel, key)


async def test_a_broken_download_goes_on_where_it_broke_off(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask")
    size = len(source.bytes[key])
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        up.misbehave(key, Drops(size // 2))
        assert (await OnDemand(services).fetch(channel, await entry_of(services, channel, key))).active
        assert up.bytes_sent(key) == size


async def test_waiters_are_sent_away_while_another_node_fetches(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "PATIENCE_SECONDS", 0.5)
    source = CondaSource()
    key = source.add("flask")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        acquire = leases.acquire

        async def taken(unit: object, name: str, holder: str, seconds: float) -> bool:
            return await acquire(unit, name, "another node", 60) and False  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(leases, "acquire", taken)
        with pytest.raises(PackhouseError) as refused:
            await OnDemand(services).fetch(channel, await entry_of(services, channel, key))
        assert (refused.value.code, refused.value.retry_after) == ("try_later", 10)
        assert up.hits(key) == 0


@pytest.mark.parametrize("status", [403, 404])
async def test_why_an_upstream_has_no_file_is_for_managers_only(
    backend: Backend, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    source = CondaSource()
    keys = [source.add("flask"), source.add("jinja")]
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        host = up.url.split("//")[1]
        for key in [*keys, keys[0]]:
            up.misbehave(key, Fails(status))
            with pytest.raises(PackhouseError) as refused:
                await OnDemand(services).fetch(channel, await entry_of(services, channel, key))
            assert refused.value.code == "upstream_failed" and key in refused.value.message
            told = str(refused.value.body())
            assert host not in told and "127.0.0.1" not in told and str(status) not in told
        for key in keys:
            assert f"{host}/{key} answered {status}" in await reason_shown(services, channel, key)
        logged = [record for record in caplog.records if record.levelname == "WARNING"]
        assert [vars(record)["values"]["file"] for record in logged] == [*keys, keys[0]]
        mirror = await run_and_wait(services, (await store.of_channel(services.db, channel.id))[0])
        assert mirror.progress.failures == []


async def test_a_copied_passive_file_carries_its_source(backend: Backend) -> None:
    source = CondaSource()
    key = source.add("flask")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await mirrored(services, up)
        other = await make_test_channel(services, "other")
        await copy(services, channel, other, "ann", [Item("flask")])
        assert not (await entry_of(services, other, key)).active
        found = await OnDemand(services).fetch(other, await entry_of(services, other, key))
        assert (found.channel_id, (found.sha256 or b"").hex()) == (other.id, sha(source, key))
        assert not (await entry_of(services, channel, key)).active


async def test_absolute_urls_and_base_urls_are_used_and_never_passed_on(backend: Backend) -> None:
    source = CondaSource()
    plain, away = source.add("plain"), source.add("away")
    source.info["base_url"] = "../elsewhere/"
    files = source.files()
    content = {key: files.pop(key) for key in (plain, away)}
    async with services_on(backend) as services, Upstream() as up:
        source.records["noarch"]["away-1.0-0.conda"]["url"] = f"{up.url}/far/away.conda"
        up.files = {**source.files(), "elsewhere/plain-1.0-0.conda": content[plain], "far/away.conda": content[away]}
        channel = await mirrored(services, up)
        assert up.url not in str(await shown(services, channel))
        for key in (plain, away):
            assert (await OnDemand(services).fetch(channel, await entry_of(services, channel, key))).active


async def reason_shown(services: Services, channel: Channel, key: str) -> str:
    """Return what managers are told of the one failure of a file."""
    mirrors = await store.of_channel(services.db, channel.id)
    [reason] = [one.reason for mirror in mirrors for one in mirror.progress.failures if one.ckey == key]
    return reason


def sha(source: CondaSource, key: str) -> str:
    subdir, filename = key.split("/")
    return str(source.records[subdir][filename]["sha256"])
