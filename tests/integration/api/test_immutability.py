"""A coordinate of a channel has one content for ever, whatever becomes of the channel: deleted, renamed, made anew."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from packhouse.catalog.packages import renaming
from tests.kit.calls import call, read, upload
from tests.kit.condapkg import make_conda
from tests.kit.house import House
from tests.kit.inspection import findings
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.upstream import Upstream

FILE = "t-1.0-0.conda"
ONE, OTHER = make_conda("t", "1.0", files={"f": b"one"}), make_conda("t", "1.0", files={"f": b"other"})


async def put(house: House, channel: str, data: bytes) -> int:
    return (await house.admin.put(f"/api/repo/{channel}/noarch/{FILE}", data)).status


async def rename(house: House, address: str, name: str) -> tuple[int, str | None, str]:
    answer = await call(house.admin, "PUT", f"/api/channels/{address}", {"name": name})
    return answer.status, answer.json().get("code"), answer.json().get("message", "")


async def leave(house: House, how: str) -> None:
    """Publish a file in the channel `team`, and let another channel stand there."""
    await house.channel("team")
    assert await put(house, "team", ONE) == 201
    if how == "deleted":
        assert (await call(house.admin, "DELETE", "/api/channels/team")).status == 202
    else:
        assert (await rename(house, "team", "former"))[0] == 200
    await house.channel("team")
    await house.caught_up()


@pytest.mark.parametrize("how", ["deleted", "renamed"])
async def test_a_new_channel_takes_no_other_bytes_where_another_stood(house: House, how: str) -> None:
    await leave(house, how)
    await house.channel("else")
    assert await put(house, "else", OTHER) == 201

    assert await put(house, "team", OTHER) == 409
    form = await upload(house.admin, "team", FILE, OTHER)
    assert (form.status, form.json()["code"]) == (409, "different_content")
    for action in ("copy", "move"):
        body = {"action": action, "items": [{"name": "t"}], "target_channel": "team"}
        copied = await call(house.admin, "PUT", "/api/channels/else/artifacts/bulk", body)
        assert (copied.status, copied.json()["code"]) == (409, "different_content")
    source = CondaSource()
    source.add("t", files={"f": b"other"})
    async with Upstream(source.files()) as upstream:
        here = await house.find("team")
        mirror = await run_and_wait(house.services, await add_mirror(house.services, here, upstream.url))
    conflicts = await read(house.admin, f"/api/channels/team/mirrors/{mirror.uuid}/conflicts")
    assert [item["ckey"] for item in conflicts["items"]] == [f"noarch/{FILE}"]

    assert (await house.web.get(f"/api/repo/team/noarch/{FILE}")).status == 404
    assert await put(house, "team", ONE) == 201, "the same bytes may come back"
    assert await findings(house.services) == []


async def test_no_channel_is_renamed_to_where_other_bytes_were(house: House) -> None:
    for channel, data in (("ra", ONE), ("rb", OTHER)):
        await house.channel(channel)
        assert await put(house, channel, data) == 201
    await call(house.admin, "DELETE", "/api/channels/ra")
    status, code, message = await rename(house, "rb", "ra")
    assert (status, code) == (409, "different_content")
    assert f"noarch/{FILE}" in message
    assert (await house.web.get("/api/channels/ra")).status == 404
    await house.remove("rb", "t")
    assert (await rename(house, "rb", "ra"))[1] == "different_content", "what is bound stays bound"
    assert await findings(house.services) == []


async def test_no_subchannel_comes_along_to_where_other_bytes_were(house: House) -> None:
    for channel, data in (("ca", ONE), ("cb", OTHER)):
        await house.channel(channel)
        await house.channel(f"{channel}/k")
        assert await put(house, f"{channel}/k", data) == 201
    assert (await rename(house, "ca", "ca-old"))[0] == 200
    status, code, message = await rename(house, "cb", "ca")
    assert (status, code) == (409, "different_content")
    assert "'ca/k'" in message
    assert (await house.web.get(f"/api/repo/cb/k/noarch/{FILE}")).body == OTHER, "nothing was renamed"
    assert (await rename(house, "ca-old", "ca"))[0] == 200, "it may go back to what it published itself"
    assert await findings(house.services) == []


async def test_a_subchannel_is_not_renamed_to_where_other_bytes_were(house: House) -> None:
    await house.channel("team")
    for channel, data in (("team/a", ONE), ("team/b", OTHER), ("team/c", ONE)):
        await house.channel(channel)
        assert await put(house, channel, data) == 201
    await call(house.admin, "DELETE", "/api/channels/team/subchannels/a")
    assert (await rename(house, "team/subchannels/b", "a"))[:2] == (409, "different_content")
    assert (await rename(house, "team/subchannels/c", "a"))[0] == 200, "with the same bytes it may"
    assert await findings(house.services) == []


async def test_a_mirror_that_promises_other_bytes_is_not_renamed_there_either(house: House) -> None:
    source = CondaSource()
    source.add("t", files={"f": b"other"})
    await leave(house, "deleted")
    await call(house.admin, "DELETE", "/api/channels/team")
    await house.channel("fed")
    async with Upstream(source.files()) as upstream:
        await run_and_wait(house.services, await add_mirror(house.services, await house.find("fed"), upstream.url))
    assert (await rename(house, "fed", "team"))[:2] == (409, "different_content")


async def test_what_comes_while_a_rename_is_compared_is_compared_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave(house, "deleted")
    await call(house.admin, "DELETE", "/api/channels/team")
    await house.channel("new")
    await house.channel("other")
    compare, pending = renaming.compare, [OTHER]

    async def compare_slowly(*args: Any) -> renaming.Compared:
        compared = await compare(*args)
        if pending:
            assert await put(house, "new", pending.pop()) == 201
        return compared

    monkeypatch.setattr(renaming, "compare", compare_slowly)
    status, code, message = await rename(house, "new", "team")
    assert (status, code) == (409, "different_content"), message
    assert (await rename(house, "other", "team"))[0] == 200
    assert await findings(house.services) == []


async def test_a_channel_that_never_rests_is_not_renamed_to_where_another_stood(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave(house, "deleted")
    await call(house.admin, "DELETE", "/api/channels/team")
    await house.channel("busy")
    compare, numbers = renaming.compare, count()

    async def compare_slowly(*args: Any) -> renaming.Compared:
        compared = await compare(*args)
        version = f"1.{next(numbers)}"
        data = make_conda("more", version)
        assert (await house.admin.put(f"/api/repo/busy/noarch/more-{version}-0.conda", data)).status == 201
        return compared

    monkeypatch.setattr(renaming, "compare", compare_slowly)
    status, code, message = await rename(house, "busy", "team")
    assert (status, code) == (409, "conflict") and "Files come to 'busy'" in message
    assert (await rename(house, "busy", "fresh"))[0] == 200, "where nobody stood nothing is compared"
