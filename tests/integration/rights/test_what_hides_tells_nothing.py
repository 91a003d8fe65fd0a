"""What a private channel holds changes no answer to anybody who may not know of it, however it is asked.

Everything that can be read is read twice by several people: before there is a private channel, and once there is one
full of all that shows up elsewhere (the same and other packages, dependants, findings, downloads, groups, policies,
waivers, mirrors, accounts for machines). Every byte has to be the same. Only the audit trail tells its readers of all
channels: reading it is a right of its own, and none of these people has it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from packhouse.doors.api.permissions import ROUTES
from packhouse.formats.conda.documents import SHARDS_FOLDER
from tests.conftest import Backend
from tests.kit.asgi import Answer, Client
from tests.kit.calls import call, read
from tests.kit.channel_reader import read_subdir
from tests.kit.condapkg import make_conda
from tests.kit.findings import cover, found, know
from tests.kit.house import House, open_house
from tests.kit.judging import judged
from tests.kit.town import give_roles

SECRET = "projectx"
#: a package that is only in private channels
HUSH = make_conda("hush", "1.0", "0", "noarch", depends=["tea", "app >=1"])
TEA = make_conda("tea", "1.0", "0", "noarch")
#: person -> what a role of theirs gives beside `author`
CURIOUS: dict[str, dict[str, int]] = {
    "outsider": {},
    "curator": {"cve": 3, "policy": 3, "roles": 1, "notification": 3, "channel.mirror": 3},
    "host": {"channel.group": 3, "account": 3},
    "neighbour": {},  # owns the open channel
}
PARAMETERS = {
    "channel": "open", "subchannel": "dev", "family": "conda", "name": "tea", "cve_id": "CVE-2024-0001",
    "group": "people", "username": "outsider", "sha256": hashlib.sha256(TEA).hexdigest(), "role": "author",
}  # fmt: skip
#: words to look for wherever something can be looked for
WORDS = (SECRET, "hush", "tea", "CVE-2024-0002", hashlib.sha256(HUSH).hexdigest())
#: addresses at which something can be looked for
SEARCHED = (
    "/api/channels?q={}", "/api/channels?q={}&include_subchannels=true", "/api/artifacts?q={}",
    "/api/groups?q={}", "/api/groups/{}_owners", "/api/cves?affecting=true&q={}", "/api/cves?q={}&sort=-modified",
    "/api/cves/{}", "/api/cves/{}/files", "/api/cves/{}/files?channel=" + SECRET, "/api/cves/{}/blast_radius",
    "/api/cves/{}/statements", "/api/statements?name={}", "/api/aliases?name={}", "/api/quarantine/{}",
    "/api/waivers?name={}", "/api/mirrors?q={}", "/api/vex?cve={}", "/api/channels/open/artifacts?q={}",
    "/api/channels/open/artifacts/conda/{}/dependants", "/api/channels/open/artifacts/conda/{}/dependencies",
    "/api/channels/open/explain?name={}", "/api/repo/open/noarch/{}-2.0-0.conda", "/api/repo/open/simple/{}/",
)  # fmt: skip
#: of every reading route, besides
QUERIES = ("", "?limit=0&affecting=true")
_USED = re.compile(rb'"(last_used_\w+|seen_at)":("[^"]*"|null)')


class Asked(NamedTuple):
    """One question, and what the answer told."""

    who: str
    target: str
    told: tuple[int, tuple[tuple[str, str], ...], bytes]


def targets(numbers: dict[str, str]) -> Iterator[str]:
    """Yield every address that can be read."""
    for method, template in ROUTES:
        if method == "GET" and template.startswith("/api/"):
            here = re.sub(r"{(\w+)}", lambda found: PARAMETERS.get(found[1], numbers.get(found[1], "1")), template)
            yield from (here + query for query in (QUERIES if "{" not in template else ("",)))
    for name in ("noarch/repodata.json", "noarch/repodata_shards.msgpack.zst", "channeldata.json", "simple/"):
        yield f"/api/repo/open/{name}"
    yield from (target.format(word) for target in SEARCHED for word in WORDS)


async def test_a_private_channel_changes_no_answer_to_who_may_not_know_of_it(backend: Backend) -> None:
    async with open_house(backend) as house:
        numbers = await fill(house)
        people: dict[str, Client] = {"": house.web, **{name: house.as_(name) for name in CURIOUS}}
        asked = [(who, client, target) for who, client in people.items() for target in targets(numbers)]
        asked = asked if backend.name.startswith("sqlite") else asked[:: len(CURIOUS)]
        await settle(house)
        before = [Asked(who, target, told(await client.get(target))) for who, client, target in asked]
        await hide(house, numbers)
        await settle(house)
        wrong = []
        for (who, client, target), then in zip(asked, before, strict=True):
            now = Asked(who, target, told(await client.get(target)))
            if now != then:
                wrong.append(f"{who} {target}: {then.told[0]} -> {now.told[0]}, {differing(then.told, now.told)}")
        assert len(asked) >= 300
        assert not wrong, f"{len(wrong)} of {len(asked)}:\n" + "\n".join(wrong[:20])
        assert sum(one.told[0] == 200 for one in before) > len(asked) // 4
        await digests_open_nothing(house, people)


async def digests_open_nothing(house: House, people: Mapping[str, Client]) -> None:
    """What is stored by its digest is of a channel: whoever knows a digest gets it nowhere else, nor learns of it."""
    reading = await read_subdir(house.as_("owner"), SECRET, "noarch")
    shards = {
        name: hashlib.sha256(body).hexdigest() for name, body in reading.bodies.items() if name in ("tea", "hush")
    }
    assert len(shards) == 2
    for who, client in people.items():
        for digest in (*shards.values(), hashlib.sha256(HUSH).hexdigest()):
            for place in ("open", "open/dev", SECRET):
                answers = []
                for known in (digest, "0" * 64):
                    answer = await client.get(f"/api/repo/{place}/noarch/{SHARDS_FOLDER}{known}.msgpack.zst")
                    assert answer.status in (401, 404), (who, place)
                    answers.append((answer.status, answer.body.replace(known.encode(), b"DIGEST")))
                assert answers[0] == answers[1], (who, place)


async def fill(house: House) -> dict[str, str]:
    """Make what everybody sees; return the numbers of things that addresses name."""
    for name in (*CURIOUS, "owner"):
        await house.person(name)
    await house.services.db.write(lambda unit: give_roles(unit, CURIOUS))
    await house.caught_up()
    await house.channel("open", owner="neighbour")
    await house.channel("open/dev", owner="neighbour")
    for channel in ("open", "open/dev"):
        assert (await house.admin.put(f"/api/repo/{channel}/noarch/tea-1.0-0.conda", TEA)).status == 201
        await house.upload(channel, "app", depends=["tea"])
    await cover(house.services.db, "PyPI", "conda")
    await found(house.services.db, await know(house.services.db, "CVE-2024-0001"), "tea", "1.0")
    await know(house.services.db, "CVE-2024-0002", 70)
    numbers = {}
    made = await call(house.admin, "POST", "/api/policies", {"name": "strict", "license_not": ["GPL3"]})
    numbers["policy_id"] = made.json()["id"]
    for waiver in ({"name": "hush"}, {"name": "tea", "channel": "open"}):
        waiver |= {"reason": "Why not?", "until": "2099-01-01"}
        made = await call(house.admin, "POST", "/api/waivers", waiver)
        assert made.status == 201, made.body
        numbers.setdefault("waiver_id", made.json()["id"])
    assert (await call(house.admin, "POST", "/api/groups", {"name": "people"})).status == 201
    return numbers


async def hide(house: House, numbers: dict[str, str]) -> None:
    """Make private channels with all that could show up elsewhere."""
    db = house.services.db
    for path in (SECRET, f"{SECRET}/dev", f"open/{SECRET}"):
        await house.channel(path, "private", "admin" if path.startswith("open") else "owner")
        for name, data in (("tea", TEA), ("hush", HUSH)):
            assert (await house.admin.put(f"/api/repo/{path}/noarch/{name}-1.0-0.conda", data)).status == 201
        await house.upload(path, "tea", "2.0")
    await found(db, await know(db, "CVE-2024-0002", 70), "hush", "1.0")
    body: dict[str, object] = {"channels": [SECRET, f"open/{SECRET}"]}
    assert (await call(house.admin, "POST", f"/api/policies/{numbers['policy_id']}/assign", body)).status == 200
    waiver = {"name": "tea", "reason": "A secret.", "until": "2099-01-01", "channel": SECRET}
    assert (await call(house.admin, "POST", "/api/waivers", waiver)).status == 201
    reserved = {"pattern": "hush*", "channel": SECRET}
    made = await call(house.admin, "POST", "/api/reservations", reserved)
    assert made.status == 201, made.body
    mirror = {"mirror_name": "m", "source_root": "http://127.0.0.1:9/x", "mirror_type": "conda", "run_now": False}
    assert (await call(house.admin, "POST", f"/api/channels/{SECRET}/mirrors", mirror)).status in (200, 201)
    assert (await call(house.admin, "POST", f"/api/channels/{SECRET}/service-accounts", {})).status in (200, 201)
    assert (await call(house.admin, "PUT", f"/api/channels/{SECRET}/groups/people", {"level": "read"})).status < 300
    for who in ("owner", "admin"):
        for _ in range(3):
            assert (await house.as_(who).get(f"/api/repo/{SECRET}/noarch/tea-1.0-0.conda")).status == 200
    assert (await read(house.as_("owner"), "/api/artifacts?q=hush"))["total_count"] >= 1, "who may know of it sees it"
    assert (await read(house.admin, "/api/cves/CVE-2024-0002/files"))["total_count"] >= 1


async def settle(house: House) -> None:
    """Let everything come to rest that follows later."""
    await judged(house)
    await house.server._counter.fold()
    await house.caught_up()


def told(answer: Answer) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    headers = sorted((key, value) for key, value in answer.headers.items() if key not in ("date", "content-length"))
    return answer.status, tuple(headers), _USED.sub(b"", answer.body)


def differing(then: tuple[object, ...], now: tuple[object, ...]) -> str:
    """Return where two answers begin to differ."""
    one, other = str(then), str(now)
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    return f"{one[max(0, at - 60) : at + 120]!r} -> {other[max(0, at - 60) : at + 120]!r}"
