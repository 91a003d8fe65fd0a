"""Dependency confusion: a name that somebody uploaded to a channel is never offered there from a mirror."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from packhouse.workflows.publishing.moving import remove
from packhouse.workflows.publishing.selection import Item
from tests.conftest import Backend
from tests.kit.house import House, open_house
from tests.kit.judging import judged, listed, status_of
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.pythonindex import PythonSource, wheel_of
from tests.kit.upstream import Upstream

JSON = "application/vnd.pypi.simple.v1+json"
THEIRS, OURS, OTHER = "acme-9.0-0.conda", "acme-0.1-0.conda", "tea-1.0-0.conda"


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    """A server with one public channel, `pub`, and no policy."""
    async with open_house(backend) as opened:
        await opened.channel("pub")
        yield opened


def conda() -> CondaSource:
    """Return an upstream where somebody has taken our name."""
    source = CondaSource()
    source.add("acme", "9.0")
    source.add("tea")
    return source


async def mirror(house: House, up: Upstream, mode: str) -> None:
    """Let the channel mirror it."""
    channel = await house.find("pub")
    ran = await run_and_wait(house.services, await add_mirror(house.services, channel, up.url, mode=mode))
    assert ran.state == "completed", ran.progress.last_exception
    await judged(house)


@pytest.mark.parametrize("mode", ["passive", "active"])
async def test_who_uploads_first_keeps_the_name(house: House, mode: str) -> None:
    async with Upstream(conda().files()) as up:
        await house.upload("pub", "acme", "0.1")
        await mirror(house, up, mode)
        await only_ours(house)
        assert up.hits(f"noarch/{THEIRS}") == 0, "not even an active mirror fetches it"
        await remove(house.services, await house.find("pub"), "admin", [Item("acme", ckey=f"noarch/{OURS}")])
        await house.caught_up()
        assert await listed(house, "pub") == {THEIRS, OTHER}, "nobody's any more"


@pytest.mark.parametrize("mode", ["passive", "active"])
async def test_who_uploads_a_mirrored_name_takes_it_over(house: House, mode: str) -> None:
    async with Upstream(conda().files()) as up:
        await mirror(house, up, mode)
        assert await listed(house, "pub") == {THEIRS, OTHER}
        fetched = up.hits(f"noarch/{THEIRS}")
        await house.upload("pub", "acme", "0.1")
        await house.caught_up()
        await only_ours(house)
        assert up.hits(f"noarch/{THEIRS}") == fetched == (mode == "active")


async def only_ours(house: House) -> None:
    """See that of the name nothing but what was uploaded can be had, and why."""
    assert await listed(house, "pub") == {OURS, OTHER}
    answer = await house.web.get(f"/api/repo/pub/noarch/{THEIRS}")
    assert (answer.status, answer.json()["details"]["rule"]) == (403, "reserved_name")
    assert await status_of(house, "pub", OURS) == 200


_numbers = count()


async def page(house: House, project: str) -> set[str]:
    """Return the files on the page of a project, as nobody has asked for it before."""
    await house.caught_up()
    answer = await house.web.get(f"/api/repo/pub/simple/{project}/", accept=f"{JSON}, x/{next(_numbers)};q=0.1")
    assert answer.status == 200, answer.body
    return {one["filename"] for one in answer.json()["files"]}


async def upload_wheel(house: House, name: str, version: str) -> str:
    """Upload a wheel; return its file name."""
    filename, content = wheel_of(name, version)
    answer = await house.admin.put(f"/api/repo/pub/simple/{name.lower().replace('_', '-')}/{filename}", content)
    assert answer.status in (200, 201), answer.body
    await house.caught_up()
    return filename


@pytest.mark.parametrize("first", ["upload", "mirror"])
async def test_the_same_holds_for_python_however_a_name_is_spelt(house: House, first: str) -> None:
    source = PythonSource()
    theirs = source.add("acme-tea", "9.0")
    other = source.add("other")
    async with Upstream({}) as up:
        source.put_on(up)
        channel = await house.find("pub")
        await add_mirror(house.services, channel, f"{up.url}/simple", type="python_simple")
        if first == "mirror":
            assert await page(house, "acme-tea") == {theirs}
        ours = await upload_wheel(house, "Acme_Tea", "0.1")
        assert await page(house, "acme-tea") == {ours}
        assert await page(house, "other") == {other}
        for apart in ("", ".metadata"):
            answer = await house.web.get(f"/api/repo/pub/simple/acme-tea/{theirs}{apart}")
            assert answer.status == (403 if first == "mirror" else 404), answer.body
            assert up.hits(f"simple/acme-tea/{theirs}{apart}") == 0
        assert up.hits("simple/acme-tea/") == (first == "mirror"), "what is ours is asked of nobody"
