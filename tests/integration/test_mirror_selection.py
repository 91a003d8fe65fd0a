"""Which files a mirror takes: every filter, dependencies, what people took out, several mirrors, uploads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Spec
from packhouse.catalog.rights.principal import Principal
from packhouse.workflows.curating.trusted_keys import distrust_key, trust_key
from packhouse.workflows.mirroring.editing import restore, run_mirror_now, update_mirror
from packhouse.workflows.mirroring.preview import preview, preview_spec
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from packhouse.workflows.publishing.upload import upload
from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.mirroring import (
    CondaSource,
    add_mirror,
    events,
    make_test_channel,
    run_and_wait,
    services_on,
    shown,
    wait,
)
from tests.kit.signing import Signer
from tests.kit.upstream import Slow, Upstream

DAY_2023, DAY_2024 = 1_672_531_200_000, 1_704_067_200_000


def mixed() -> CondaSource:
    """A channel with something for every filter."""
    source = CondaSource()
    source.add("mit", license="MIT", timestamp=DAY_2023)
    source.add("gpl", license="GPL-3.0-or-later", timestamp=DAY_2024)
    source.add("python", "3.10.1", timestamp=DAY_2023)
    source.add("python", "3.11.2", timestamp=DAY_2024)
    source.add("undated", license="BSD-3-Clause", timestamp=None)
    return source


FILTERS: list[tuple[dict[str, Any], set[str], dict[str, int]]] = [
    ({"include_licenses": ["mit"]}, {"mit", "python"}, {"license": 2}),
    ({"exclude_licenses": ["gpl3"]}, {"mit", "python", "undated"}, {"license": 1}),
    ({"include_licenses": ["-mit"]}, {"gpl", "undated"}, {"license": 3}),
    ({"include_licenses": [" -gpl3", "mit", "bsd"], "exclude_licenses": ["bsd"]}, {"mit", "python"}, {"license": 2}),
    ({"only_specs": ["python >=3.11", "m*"]}, {"mit", "python"}, {"only_specs": 3}),
    ({"exclude_specs": ["python"]}, {"mit", "gpl", "undated"}, {"exclude_specs": 2}),
    ({"exclude_specs": ["python"], "include_specs": ["python==3.11.2"]}, {"mit", "gpl", "python", "undated"},
     {"exclude_specs": 1}),
    ({"include_specs": ["gpl"], "exclude_specs": ["gpl"], "exclude_licenses": ["gpl3"]}, {"mit", "python", "undated"},
     {"license": 1}),
    ({"date_from": "2023-06-01", "date_to": "2024-01-01"}, {"gpl", "python"}, {"date": 3}),
    ({"date_to": "2023-01-01"}, {"mit", "python", "undated"}, {"date": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "expected", "filtered"), FILTERS, ids=[str(case[0])[:60] for case in FILTERS])
@pytest.mark.parametrize("form", ["json", "shards"])
async def test_filters_select(
    backend: Backend, filters: dict[str, Any], expected: set[str], filtered: dict[str, int], form: str
) -> None:
    async with services_on(backend) as services, Upstream(mixed().files(forms=[form])) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, filters=filters)
        dry = await preview(services, channel, mirror)
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "completed", mirror.progress
        assert {record["name"] for record in (await shown(services, channel)).values()} == expected
        found = mirror.progress.count.mirror_filtered
        if form == "json":  # shards of names that no spec selects are not even fetched, so not counted
            assert {rule: getattr(found, rule) for rule in filtered} == filtered
        assert dry.counts.added == mirror.progress.count.added
        assert dry.counts.mirror_filtered == found


@pytest.mark.parametrize("form", ["json", "shards"])
async def test_a_run_says_when_nothing_passes_the_filters(backend: Backend, form: str) -> None:
    source = mixed()
    async with services_on(backend) as services, Upstream(source.files(forms=[form])) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, filters={"only_specs": ["pyhton"], "subdirs": ["noarch"]})
        for _ in range(2):  # also when the upstream is the same again
            mirror = await run_and_wait(services, mirror)
            assert mirror.state == "completed"
            assert "passes the filters (subdirs, only_specs)" in mirror.progress.current_step_description
            assert (await events(services, "mirroring_completed"))[-1][2]["takes_nothing"] is True
            skipped = [
                (data["count"], sum(data["why"].values())) for _, _, data in await events(services, "artifact_s")
            ]
            assert len(skipped) <= 1, "nothing is passed over when the upstream is the same again"
            assert form != "json" or (skipped[0][0] == skipped[0][1] > 0)
        source.add("pyhton")
        up.files = source.files(forms=[form])
        mirror = await run_and_wait(services, mirror)
        assert mirror.progress.current_step_description == "Completed"
        assert "takes_nothing" not in (await events(services, "mirroring_completed"))[-1][2]


async def test_an_empty_upstream_is_said_to_be_empty_and_a_mirror_that_others_forestall_is_not(
    backend: Backend,
) -> None:
    source = CondaSource()
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert "the upstream has no files" in mirror.progress.current_step_description
        source.add("mit")
        up.files = source.files()
        await run_and_wait(services, mirror)
        second = await add_mirror(services, channel, up.url, name="second")
        for _ in range(2):
            second = await run_and_wait(services, second)
            assert second.progress.current_step_description == "Completed"  # the first holds what it would bring


async def test_only_signed_records(backend: Backend) -> None:
    source = mixed()
    records = source.records["noarch"]
    mere = next(filename for filename in records if filename != "mit-1.0-0.conda")
    source.signatures = {"mit-1.0-0.conda": Signer(1).sign(records["mit-1.0-0.conda"]), mere: Signer(1).sign({})}
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(
            services, await add_mirror(services, channel, up.url, filters={"only_signed": True})
        )
        assert mirror.progress.count.mirror_filtered.only_signed == 5, "nobody trusts the key yet"
        await trust_key(services, Principal(None, "ann", "admin"), "Ann", Signer(1).public)
        mirror = await run_and_wait(services, mirror)
        assert mirror.progress.count.mirror_filtered.only_signed == 4
        now = await shown(services, channel)
        assert now == {"mit-1.0-0.conda": source.records["noarch"]["mit-1.0-0.conda"]}  # to the letter: it is signed
        await distrust_key(services, Principal(None, "ann", "admin"), Signer(1).public)
        await run_and_wait(services, mirror)
        assert await shown(services, channel) == {}


async def test_subdirs_and_the_noarch_files_they_need(backend: Backend) -> None:
    source = CondaSource()
    source.add("app", subdir="linux-64", depends=["lib >=2", "__glibc"])
    source.add("app", subdir="osx-arm64")
    source.add("lib", "1.0")
    source.add("lib", "2.0", depends=["deep"])
    source.add("deep")
    source.add("unrelated")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await add_mirror(services, channel, up.url, filters={"subdirs": ["linux-64"]})
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "completed", mirror.progress
        assert set(await shown(services, channel, "linux-64")) == {"app-1.0-0.conda"}
        assert set(await shown(services, channel, "osx-arm64")) == set()
        assert set(await shown(services, channel)) == {"lib-2.0-0.conda", "deep-1.0-0.conda"}
        assert mirror.progress.count.dependencies == 2
        source.records["linux-64"]["app-1.0-0.conda"]["depends"] = ["unrelated"]
        up.files = source.files()
        await run_and_wait(services, mirror)
        assert set(await shown(services, channel)) == {"unrelated-1.0-0.conda"}


async def test_the_closure_of_selected_names_on_request(backend: Backend) -> None:
    source = CondaSource()
    source.add("flask", depends=["click >=8", "python"])
    source.add("click", "7.0")
    source.add("click", "8.1")
    source.add("python", "3.12", subdir="linux-64", depends=["openssl"])
    source.add("openssl", subdir="linux-64", license="GPL-3.0-only")
    source.add("numpy", subdir="linux-64")
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        filters: dict[str, Any] = {"only_specs": ["flask"]}
        mirror = await add_mirror(services, channel, up.url, filters=filters, options={"include_dependencies": True})
        await run_and_wait(services, mirror)
        assert set(await shown(services, channel)) == {"flask-1.0-0.conda", "click-8.1-0.conda"}
        assert set(await shown(services, channel, "linux-64")) == {"python-3.12-0.conda", "openssl-1.0-0.conda"}
        filters["exclude_licenses"] = ["gpl3"]
        spec = Spec("upstream", up.url, filters=mirror.filters.__class__(**filters), options=mirror.options)
        mirror = await update_mirror(services, channel, mirror, "ann", spec, administrator=True)
        await run_and_wait(services, mirror)
        assert set(await shown(services, channel, "linux-64")) == {"python-3.12-0.conda"}


async def test_an_edited_filter_reconciles_the_content_as_its_dry_run_said(backend: Backend) -> None:
    source = mixed()
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        spec = Spec("upstream", up.url, filters=mirror.filters.__class__(only_specs=["python"]))
        dry = await preview_spec(services, channel, spec, administrator=True, before=mirror)
        assert len(await shown(services, channel)) == 5  # a dry run changes nothing
        mirror = await update_mirror(services, channel, mirror, "ann", spec, administrator=True)
        assert len(await shown(services, channel)) == 5  # nor does an edit that is not to run now
        mirror = await run_and_wait(services, mirror)
        assert mirror.state == "completed", "what one's own filters drop is no shrinking upstream"
        assert {record["name"] for record in (await shown(services, channel)).values()} == {"python"}
        assert (dry.counts.removed, dry.asks) == (3, None) == (mirror.progress.count.removed, None)
        assert sorted(dry.remove) == sorted(f"noarch/{name}-1.0-0.conda" for name in ("gpl", "mit", "undated"))


async def test_what_a_person_took_out_stays_out_until_restored(backend: Backend) -> None:
    source = mixed()
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel, other = await make_test_channel(services), await make_test_channel(services, "other")
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        await remove(services, channel, "bob", [Item("mit")])
        await copy(services, channel, other, "bob", [Item("gpl")], move=True)
        source.add("fresh")
        up.files = source.files()
        mirror = await run_and_wait(services, mirror)
        assert {record["name"] for record in (await shown(services, channel)).values()} == {
            "python", "undated", "fresh",
        }  # fmt: skip
        assert mirror.progress.count.kept_out == 2
        assert [row[3] for row in await store.kept_out(services.db, channel.id, 10, 0)] == [
            "gpl-1.0-0.conda", "mit-1.0-0.conda",
        ]  # fmt: skip
        assert await restore(services, channel, "bob", [Item("mit")]) == 1
        await run_and_wait(services, mirror)
        assert "mit-1.0-0.conda" in await shown(services, channel)
        assert "gpl-1.0-0.conda" not in await shown(services, channel)


async def test_what_is_restored_while_a_mirror_runs_comes_with_the_next_run(backend: Backend) -> None:
    source = mixed()
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert not mirror.needs_full_run
        source.add("fresh")
        up.files = source.files()
        asked = up.hits("noarch/repodata.json", "GET")
        up.misbehave("noarch/repodata.json", Slow(3_000))
        await run_mirror_now(services, mirror, "ann")
        waiting = asyncio.create_task(wait(services, mirror))
        while up.hits("noarch/repodata.json", "GET") == asked:
            await asyncio.sleep(0.01)
        await services.db.write(lambda unit: store.ask_full_run(unit, channel.id))  # what `restore` does
        up.misbehave("noarch/repodata.json")
        mirror = await waiting
        assert (mirror.state, mirror.needs_full_run) == ("completed", True)
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, mirror.needs_full_run, mirror.progress.full_run) == ("completed", False, False)


async def test_an_upload_holds_its_coordinate_against_a_mirror(backend: Backend) -> None:
    source = mixed()
    ours = make_conda("mit", "1.0", depends=["ours"])
    async with services_on(backend) as services, Upstream(source.files()) as up:
        channel = await make_test_channel(services)
        async with services.blobs.writer() as writer:
            await writer.write(ours)
            uploaded = await upload(services, channel, "ann", writer, "mit-1.0-0.conda")
        mirror = await add_mirror(services, channel, up.url)
        dry = await preview(services, channel, mirror)
        mirror = await run_and_wait(services, mirror)
        now = await shown(services, channel)
        assert now["mit-1.0-0.conda"]["sha256"] == uploaded.hashes.sha256
        assert len(now) == 5
        assert (mirror.progress.count.held, mirror.progress.count.conflicts) == (1, 1) == (1, dry.counts.conflicts)
        [conflict] = await store.conflicts(services.db, mirror.id)
        assert "upload" in conflict.reason


async def test_a_second_mirror_takes_over_what_the_first_one_leaves(backend: Backend) -> None:
    one, two = CondaSource(), CondaSource()
    for source in (one, two):
        for name in ("shared", "a", "b", "c"):
            source.add(name)
    async with (
        services_on(backend) as services,
        Upstream(one.files()) as first,
        Upstream(two.files()) as second,
    ):
        channel = await make_test_channel(services)
        winner = await run_and_wait(services, await add_mirror(services, channel, first.url, name="first"))
        other = await run_and_wait(services, await add_mirror(services, channel, second.url, name="second"))
        assert (other.progress.count.held, other.progress.count.added) == (4, 0)
        one.drop("noarch/shared-1.0-0.conda")
        first.files = one.files()
        await run_and_wait(services, winner)
        assert "shared-1.0-0.conda" not in await shown(services, channel)
        other = await run_and_wait(services, other)  # its own upstream has not changed
        assert "shared-1.0-0.conda" in await shown(services, channel)
