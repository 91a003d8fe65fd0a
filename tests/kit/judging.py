"""What tests of judgement need: policies that hold, a worker's rounds of judging, and what readers then see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from packhouse.catalog.policies import store as policies
from packhouse.core.db import Unit
from packhouse.security.policies.checking import check
from packhouse.security.policies.policy import Rules, digest, edited, encode
from packhouse.workflows.judging import duty
from packhouse.workflows.services import Services
from tests.kit.feeding import add_feed, lines, take
from tests.kit.house import House

#: after which nothing is left
ROUNDS = 4
_LEFT = """SELECT (SELECT count(*) FROM unjudged)
 + (SELECT count(*) FROM channel WHERE next_ruleset_id IS NOT NULL AND path IS NOT NULL)"""


async def judged(house: House) -> None:
    """Do what a worker does about judgement until nothing is left, and let this process hear of it."""
    for _ in range(ROUNDS):
        await duty.judge(house.services)
        if not await house.services.db.fetch_value(_LEFT):
            break
    await house.services.publisher.publish_waiting()
    await house.caught_up()


async def govern(house: House, path: str, **fields: Any) -> None:
    """Let a channel have a policy with these fields, which holds when this returns; without any, none."""
    await intend(house, path, **fields)
    await judged(house)


async def intend(house: House, path: str, **fields: Any) -> None:
    """Let a channel have a policy with these fields, which nobody has prepared yet; without any, none."""
    channel = await house.find(path)
    rules = check(edited(Rules(), fields))

    async def work(unit: Unit) -> None:
        number = await policies.keep_rules(unit, digest(rules), encode(rules).decode()) if fields else 0
        await policies.assign(unit, channel.id, None, number)

    await house.services.db.write(work)


async def advise(services: Services, folder: Path, *records: dict[str, Any], feed: str = "ours") -> None:
    """Let a feed say just these advisories; nothing is judged yet."""
    source = folder / f"{feed}.jsonl"
    known = source.exists()
    source.write_bytes(lines(records))
    if not known:
        await add_feed(services, source.as_uri(), feed)
    await take(services, feed, accept_shrink=True)


async def listed(house: House, path: str, subdir: str = "noarch") -> set[str]:
    """Return the file names that the index of a channel shows to a stranger."""
    answer = await house.web.get(f"/api/repo/{path}/{subdir}/repodata.json")
    assert answer.status == 200, answer.body
    found = json.loads(answer.body)
    return {*found["packages"], *found["packages.conda"]}


async def index_of(house: House, path: str, subdir: str = "noarch") -> bytes:
    """Return the index of a subdir as it is sent."""
    return (await house.web.get(f"/api/repo/{path}/{subdir}/repodata.json")).body


async def status_of(house: House, path: str, filename: str, subdir: str = "noarch") -> int:
    """Return how a direct request for a file is answered."""
    return (await house.web.get(f"/api/repo/{path}/{subdir}/{filename}")).status
