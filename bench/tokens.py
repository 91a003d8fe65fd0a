"""What the check of a token costs a package request: finding it in the headers, knowing it, and one right."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

from bench.kit.context import SQLITE, Context
from bench.kit.report import Line, median
from packhouse.catalog.channels import store as channels
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.rights.permissions import WRITE, Decision, Target, permit
from packhouse.catalog.rights.principal import Principal
from packhouse.catalog.tokens.reach import Resource
from packhouse.core.db import Database, Unit, open_database
from packhouse.core.db.migrating import migrate
from packhouse.doors.credentials import from_request
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.people import tokens
from tests.kit import staffing
from tests.kit.keys import SEALER

#: channels of the resource token, the last of which is asked for
CHANNELS = 20
PATH = "/api/repo/ch0/noarch/one-1.0-0.conda"


def run(context: Context) -> Iterator[Line]:
    """Yield a line for each kind of token; CPU time of one process, as the machine may be busy."""
    if SQLITE not in context.setups:
        return
    url = f"sqlite:///{context.folder}/tokens.db"
    migrate(url)
    for work, microseconds in asyncio.run(_measure(url, context.pick(200, 20_000), context.rounds)).items():
        yield Line(work, "µs", goal="≤ 10 µs", ours={SQLITE: microseconds})


async def _measure(url: str, checks: int, rounds: int) -> dict[str, float]:
    db = open_database(url)
    try:
        authenticator, values, target = await _prepared(db)
        found = {}
        for work, value in values.items():
            headers = [(b"host", b"localhost"), (b"user-agent", b"conda/26.7"), (b"x-auth", value.encode())]
            found[work] = median([await _once(authenticator, headers, target, checks) for _ in range(rounds)])
        return found
    finally:
        await db.close()


async def _once(authenticator: Authenticator, headers: Any, target: Target, checks: int) -> float:
    """Return the microseconds of one check, of many."""
    gc.collect()
    began = time.process_time()
    for _ in range(checks):
        credential, _path = from_request(headers, PATH)
        principal, _until = await authenticator.proof(credential, "192.0.2.1")
        if permit(principal, "artifact:download", target) is not Decision.ALLOWED:
            raise RuntimeError("the token does not open the channel")
    return (time.process_time() - began) / checks * 1e6


async def _prepared(db: Database) -> tuple[Authenticator, dict[str, str], Target]:
    keys = await load_keys(db, SEALER)
    ann = await staffing.create_user(db, "ann", None, "author", "bench")
    who = Principal(ann.id, "ann", "author")

    async def work(unit: Unit) -> list[int]:
        return [await channels.insert_channel(unit, f"ch{n}", None, "", "private", ann.id) for n in range(CHANNELS)]

    numbers = await db.write(work)
    resources = [Resource(f"ch{n}", WRITE) for n in range(CHANNELS)]
    scopes = ["channel:view-artifacts", "artifact:download"]
    made = {
        "check a token of all its account may": await tokens.create(db, keys, who, "all", None, None),
        "check a token of two scopes": await tokens.create(db, keys, who, "scopes", scopes, None),
        f"check a token of {CHANNELS} channels": await tokens.create(
            db, keys, who, "channels", None, None, resources=resources
        ),
    }
    target = Target("private", ann.id, 0, numbers[-1])
    return Authenticator(db, keys), {work: value for work, (_, value) in made.items()}, target
