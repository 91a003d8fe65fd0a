"""How sources are reached: credentials, TLS, proxies, file trees, private addresses; and that no secret shows."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.mirrors import store
from packhouse.catalog.mirrors.mirror import Credential
from packhouse.core.errors import PackhouseError
from packhouse.workflows.mirroring.editing import update_mirror
from tests.conftest import Backend
from tests.integration.test_mirror_life import spec_of
from tests.kit.mirroring import CondaSource, add_mirror, events, make_test_channel, run_and_wait, services_on, shown
from tests.kit.proxy import Proxy
from tests.kit.tls import Authority
from tests.kit.upstream import Basic, Header, Redirect, Upstream

SECRET = "s3cret-v4lue"


def one_package() -> CondaSource:
    source = CondaSource()
    source.add("flask")
    return source


@pytest.mark.parametrize(
    ("require", "credential"),
    [
        (Basic("ann", SECRET), {"username": "ann", "password": SECRET}),
        (Header("authorization", f"Bearer {SECRET}"), {"token": SECRET}),
        (Header("x-auth", SECRET), {"headers": {"X-Auth": SECRET}}),
    ],
    ids=["basic", "token", "header"],
)
async def test_credentials(backend: Backend, require: Basic | Header, credential: dict[str, Any]) -> None:
    async with services_on(backend) as services, Upstream(one_package().files(), require=require) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert (mirror.state, "401" in mirror.progress.last_exception) == ("failed", True)
        spec = spec_of(mirror, credential=Credential(**credential), mode="active")
        mirror = await update_mirror(services, channel, mirror, "ann", spec, administrator=True)
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, mirror.progress.count.active) == ("completed", 1), mirror.progress
        await update_mirror(services, channel, mirror, "ann", spec_of(mirror), administrator=True)
        assert (await run_and_wait(services, mirror)).state == "completed", "an edit without a credential keeps it"
        elsewhere = spec_of(mirror, source="http://127.0.0.1:1/")
        moved = await update_mirror(services, channel, mirror, "ann", elsewhere, administrator=True)
        assert moved.credential == "", "another source never gets it"
        assert SECRET not in str(await events(services, ""))


async def test_secrets_inside_addresses_are_kept_and_never_shown(backend: Backend) -> None:
    source = {f"t/{SECRET}/main/{path}": content for path, content in one_package().files().items()}
    require = Basic("ann", SECRET)
    async with services_on(backend) as services, Upstream(source, require=require) as up:
        channel = await make_test_channel(services)
        address = f"http://ann:{SECRET}@{up.hostport}/t/{SECRET}/main"
        mirror = await add_mirror(services, channel, address, mode="active")
        assert SECRET not in mirror.source
        mirror = await run_and_wait(services, mirror)
        assert (mirror.state, mirror.progress.count.active) == ("completed", 1), mirror.progress
        mirror = await update_mirror(services, channel, mirror, "ann", spec_of(mirror), administrator=True)
        assert (await run_and_wait(services, mirror)).state == "completed", "what was shown masked means what it was"
        assert SECRET not in repr(mirror)
        assert SECRET not in str(await events(services, ""))
        rows = await services.db.fetch_all("SELECT source, options, filters, progress FROM mirror")
        assert SECRET not in str(rows)


async def test_tls_with_an_own_authority_and_a_client_certificate(backend: Backend, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("client")
    tls = authority.server(want_client=True)
    async with services_on(backend) as services, Upstream(one_package().files(), tls=tls) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert mirror.state == "failed"
        assert "No trusted connection" in mirror.progress.last_exception
        certificates = {"client_cert": str(cert), "client_key": str(key)}
        options = [certificates | {"ca_bundle": str(authority.ca)}, certificates | {"verify_tls": False}]
        for number, each in enumerate(options):
            other = await make_test_channel(services, f"c{number}")
            mirror = await run_and_wait(services, await add_mirror(services, other, up.url, options=each))
            assert mirror.state == "completed", mirror.progress
        with pytest.raises(PackhouseError, match="Only an administrator"):
            await add_mirror(services, channel, up.url, name="mine", options=certificates, administrator=False)


async def test_a_proxy_of_its_own_and_no_proxy(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        services_on(backend) as services,
        Upstream(one_package().files()) as up,
        Proxy(login=f"ann:{SECRET}") as proxy,
    ):
        channel = await make_test_channel(services)
        options = {"proxy": proxy.url.replace("//", f"//ann:{SECRET}@")}
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, options=options))
        assert mirror.state == "completed", mirror.progress
        assert len(proxy.targets) == len(up.requests) > 0
        assert SECRET not in str(mirror.options)
        mirror = await update_mirror(services, channel, mirror, "ann", spec_of(mirror), administrator=True)
        assert (await run_and_wait(services, mirror)).state == "completed"
        seen = len(proxy.targets)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert (await run_and_wait(services, mirror)).state == "completed"
        assert len(proxy.targets) == seen


async def test_a_file_tree(backend: Backend, tmp_path: Path) -> None:
    source = one_package()
    for path, content in source.files(forms=["zst"]).items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_bytes(content)
    async with services_on(backend) as services:
        channel = await make_test_channel(services)
        address = f"file://{tmp_path}/tree"
        with pytest.raises(PackhouseError, match="Only an administrator"):
            await add_mirror(services, channel, address, administrator=False)
        mirror = await run_and_wait(services, await add_mirror(services, channel, address, mode="active"))
        assert (mirror.state, mirror.progress.count.active) == ("completed", 1), mirror.progress
        assert set(await shown(services, channel)) == {"flask-1.0-0.conda"}


async def test_private_addresses_are_for_administrators(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream(one_package().files()) as up, Upstream() as inner:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url, administrator=False))
        assert mirror.state == "failed"
        assert "private address" in mirror.progress.last_exception
        assert (up.connections, inner.connections) == (0, 0)
        named = await add_mirror(services, channel, up.url, name="named")
        up.misbehave("noarch/repodata.json", Redirect(f"{inner.url}/noarch/repodata.json"))
        named = await run_and_wait(services, named)
        assert named.state == "failed"
        assert inner.connections == 0, "another private address stays refused"
        up.misbehave("noarch/repodata.json")
        edited = await update_mirror(services, channel, named, "bob", spec_of(named), administrator=False)
        assert (await run_and_wait(services, edited)).state == "completed", "who edits other things keeps its trust"
        elsewhere = spec_of(named, source=inner.url)
        edited = await update_mirror(services, channel, named, "bob", elsewhere, administrator=False)
        assert (await run_and_wait(services, edited)).state == "failed"
        assert inner.connections == 0


async def test_an_address_that_is_no_channel(backend: Backend) -> None:
    async with services_on(backend) as services, Upstream({"index.html": b"hello"}) as up:
        channel = await make_test_channel(services)
        mirror = await run_and_wait(services, await add_mirror(services, channel, up.url))
        assert mirror.state == "failed"
        assert "no conda channel" in mirror.progress.last_exception


BAD: list[dict[str, Any]] = [
    {"source": "ftp://example.org/x"},
    {"source": "http://"},
    {"source": "https://example.org/?q=1"},
    {"source": "file:///a/../b"},
    {"source": "file:///a%00"},
    {"mode": "lazy"},
    {"type": "CRAN"},
    {"cron": "every day"},
    {"name": " "},
    {"name": "a\nb"},
    {"filters": {"subdirs": ["linux 64"]}},
    {"filters": {"include_licenses": ["weird"]}},
    {"filters": {"include_licenses": ["--mit"]}},
    {"filters": {"exclude_licenses": ["-mit"]}},
    {"filters": {"only_specs": ["a"], "exclude_specs": ["b"]}},
    {"filters": {"only_specs": ["numpy >>> 3"]}},
    {"filters": {"date_from": "2024-01-01", "date_to": "2023-01-01"}},
    {"filters": {"date_from": "2024-01-01", "date_to": "2024-01-01"}},
    {"filters": {"date_from": "2022-01-01", "date_to": "2024-01-01"}},
    {"filters": {"date_from": "yesterday"}},
    {"filters": {"cve_score_threshold": 10.5}},
    {"filters": {"projects": ["flask"]}},
]


async def test_specs_that_make_no_sense_are_refused_at_once(backend: Backend) -> None:
    async with services_on(backend) as services:
        channel = await make_test_channel(services)
        for change in deepcopy(BAD):
            with pytest.raises(PackhouseError) as refused:
                await add_mirror(services, channel, change.pop("source", "https://example.org/main"), **change)
            assert refused.value.status in (400, 415), change
        assert await store.all_mirrors(services.db) == []
        assert await events(services) == []
        await add_mirror(services, channel, "https://example.org/main")
        with pytest.raises(PackhouseError, match="already"):
            await add_mirror(services, channel, "https://example.org/main")
