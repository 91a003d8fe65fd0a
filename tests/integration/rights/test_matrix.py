"""The authorisation matrix: every route, everybody, every kind of channel, every way to show a credential.

What the guard should say is asked of the oracle in `tests/kit/rights.py`, which knows nothing of the rules. Whether a
request would be let pass is seen without doing it: nothing can be written while they are sent.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import pytest

from packhouse.catalog.logins import cookies
from packhouse.core.clock import DAY
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.permissions import ROUTES
from packhouse.workflows.admitting.throttle import Throttle
from tests.conftest import Backend
from tests.kit import rights
from tests.kit.asgi import Answer
from tests.kit.carriers import CARRIERS
from tests.kit.house import open_house
from tests.kit.rights import STRANGER, Place, Someone
from tests.kit.town import PEOPLE, SCOPES, Town, build, listed

SEED = 20_261_121
#: what stands for the parameters of addresses; whatever ends in `_id` is a number
PARAMETERS = {
    "family": "conda", "name": "tea", "sha256": "0" * 64, "cve_id": "CVE-2024-0001", "username": "nobody",
    "token_id": "00000000-0000-0000-0000-000000000000",
}  # fmt: skip
#: one case in so many is tried with every carrier
ALL_CARRIERS = 10
#: one bulk request in so many is tried by default, of all that there could be
BULK_SAMPLE = 12
#: one case in so many is tried by default, on PostgreSQL fewer
SAMPLE, FEW = 4, 50
#: tokens that reach less than their account, both shown by X-Auth
LIMITED, NARROW = "scopes", "channels"
_HIDDEN = ("There is no such channel.", "There is no such group.")
_ASKED: ContextVar[tuple[str, str]] = ContextVar("asked", default=("", ""))


class Case(NamedTuple):
    """One request, and the status it should be refused with; 0: it should pass the guard."""

    method: str
    target: str
    who: Someone
    expected: int
    carrier: str  #: of CARRIERS, LIMITED, NARROW, or "" for nothing
    action: str  #: what it needs
    body: bytes = b""


class Question(NamedTuple):
    """What can be asked, whoever shows whatever."""

    method: str
    target: str
    place: Place | None
    listed: int  #: the level of the resource token of whoever asks
    action: str
    data_plane: bool = False


def questions(town: Town, who: Someone) -> Iterator[Question]:
    """Yield all that somebody can ask."""
    for method, template in ROUTES:
        action = rights.action_of(method, template)
        if "{group}" in template and "{channel}" not in template:
            for name, place in town.groups(who).items():
                yield Question(method, _filled(template.replace("{group}", name)), place, 0, action)
        elif "{channel}" in template:
            for path, place in town.places(who, below="{subchannel}" in template).items():
                channel, _, subchannel = path.partition("/")
                here = template.replace("{channel}", channel).replace("{subchannel}", subchannel)
                yield Question(method, _filled(here), place, listed(who, path), action)
        else:
            yield Question(method, _filled(template), None, 0, action)
    for row, action in rights.DATA.items():
        method, _, tail = row.partition(" ")
        for below in (False, True):
            for path, place in town.places(who, below=below).items():
                yield Question(method, f"/api/repo/{path}{tail}", place, listed(who, path), action, True)


def cases(town: Town, all_carriers: int) -> Iterator[Case]:
    """Yield every case with one carrier in turn and one in so many with all; each third with tokens of less."""
    dice = random.Random(SEED)
    turn = 0
    for who in (STRANGER, *PEOPLE):
        for asked in questions(town, who):
            should = partial(rights.answer, who, asked.place, asked.action, data_plane=asked.data_plane)
            case = partial(Case, asked.method, asked.target, who, action=asked.action)
            if not who.known:
                yield case(expected=should(), carrier="")
                continue
            turn += 1
            every = dice.randrange(all_carriers) == 0
            for carrier in CARRIERS if every else [[*CARRIERS][turn % len(CARRIERS)]]:
                yield case(expected=should(), carrier=carrier)
            if turn % 3 == 0 or every:
                yield case(expected=should(scopes=SCOPES), carrier=LIMITED)
            if turn % 3 == 1 or every:
                yield case(expected=should(listed=asked.listed), carrier=NARROW)


def bulk_cases(town: Town, one_in: int) -> Iterator[Case]:
    """Yield requests that copy, move and delete from everywhere to everywhere, one in so many."""
    dice = random.Random(SEED)
    for who in (STRANGER, *PEOPLE):
        there = town.places(who, below=False) | town.places(who, below=True)
        for (source, target), does in product(product(there, repeat=2), rights.BULK):
            if dice.randrange(one_in):
                continue
            channel, _, below = source.partition("/")
            body = {"action": does, "items": [{"name": "tea"}], "target_channel": target}
            address = f"/api/channels/{channel}{f'/subchannels/{below}' if below else ''}/artifacts/bulk"
            should = partial(rights.answer_in_bulk, who, (there[source], there[target]), does)
            case = partial(Case, "PUT", address, who, action=f"bulk {does}", body=json.dumps(body).encode())
            yield case(expected=should(), carrier=dice.choice([*CARRIERS]) if who.known else "")
            if who.known:
                levels = (listed(who, source), listed(who, target))
                yield case(expected=should(listed=levels), carrier=NARROW)
                yield case(expected=should(scopes=SCOPES), carrier=LIMITED)


async def send(town: Town, case: Case) -> Answer:
    """Send the request of a case."""
    target, headers = case.target, {}
    if case.carrier in (LIMITED, NARROW):
        headers = {"x-auth": (town.limited if case.carrier == LIMITED else town.narrow)[case.who.name]}
    elif case.carrier:
        target, headers = CARRIERS[case.carrier](town.credentials[case.who.name], target)
    if not case.target.startswith("/api/"):
        headers["sec-fetch-site"] = "same-origin"  # a page of ours asks
    if case.body:
        headers["content-type"] = "application/json"
    _ASKED.set((case.method, case.action))
    return await town.house.web.request(case.method, target, headers, [case.body] if case.body else [])


def seen(answer: Answer) -> int | str:
    """Return the status a request was refused with by the guard, 0 if it passed, or what else went wrong."""
    if answer.status in (401, 403):
        return answer.status
    if answer.status == 404:
        message = answer.json()["message"] if answer.body else ""
        if "nothing at this address" in message:
            return "no such address: put what stands for its parameters into PARAMETERS"
        return 404 if message.startswith(_HIDDEN) else 0
    return f"{answer.status}: {answer.body[:200]!r}" if answer.status == 500 else 0


def reads(method: str, action: str) -> bool:
    """Say whether a request may change nothing: by its method, or because a right to read is all that it needs."""
    return method in ("GET", "HEAD") or rights.ACTIONS.get(action, rights.MANAGE) <= rights.READ


@pytest.mark.parametrize("full", [False, pytest.param(True, marks=pytest.mark.full)], ids=["sample", "full"])
async def test_every_answer_is_the_oracles(backend: Backend, monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    async with open_house(backend) as house:
        town = await build(house)
        written: list[tuple[str, str]] = []

        async def refuse(work: Any) -> Any:
            written.append(_ASKED.get())
            raise PackhouseError("try_later", "Nothing is written here.")

        async def free(*_: Any, **_named: Any) -> None:
            """Passwords cost nothing here: what guesses are counted by is written with any of them."""

        monkeypatch.setattr(cookies, "_NOTICE", DAY)  # else a login is noted as used after some minutes of this
        monkeypatch.setattr(Throttle, "admit", free)
        monkeypatch.setattr(Throttle, "succeeded", free)
        monkeypatch.setattr(house.services.db, "write", refuse)
        all_cases = [*cases(town, 1 if full else ALL_CARRIERS), *bulk_cases(town, 1 if full else BULK_SAMPLE)]
        assert {case.carrier for case in all_cases} == {"", LIMITED, NARROW, *CARRIERS}
        tried = all_cases[:: 1 if full else SAMPLE if backend.name.startswith("sqlite") else FEW]
        wrong = []
        statuses: Counter[int | str] = Counter()
        for case in tried:
            answer = await send(town, case)
            found = seen(answer)
            head = case.method == "HEAD" and answer.status == 404  # says nothing about what is not there
            if found != case.expected and not (head and case.expected in (0, 404)):
                wrong.append(
                    (
                        case.method,
                        case.target,
                        case.who.name,
                        case.carrier,
                        case.action,
                        case.body,
                        case.expected,
                        found,
                    )
                )
            statuses[found] += 1
        assert not wrong, f"{len(wrong)} of {len(tried)}: {wrong[:12]}"
        assert len(tried) >= 5_000 or not backend.name.startswith("sqlite")
        print(f"{len(tried)} cases: {dict(statuses)}")
        assert not [asked for asked in written if reads(*asked)], "something was written behind a right to read"
        assert {action for _, action in written} & {"channel:edit", "channel:delete"}, "what may be written was seen"
        assert min(statuses[status] for status in (0, 401, 403, 404)) > len(tried) // 500


def _filled(template: str) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        return PARAMETERS.get(name, "1" if name.endswith("_id") else "x")

    return re.sub(r"{(\w+)}", value, template)
