"""Every answer is what the OpenAPI document promises, whatever is asked, and none is a fault of the server."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.conftest import Backend
from tests.kit.calls import call, read
from tests.kit.conforming import ask, cases_of, operations
from tests.kit.house import House, open_house

#: what is there, for the parameters of every second path
KNOWN = {
    "channel": "team", "subchannel": "dev", "family": "conda", "name": "tea", "subdir": "noarch", "project": "wheels",
    "filename": "tea-1.0-0.conda", "role": "author", "username": "owner", "group": "people",
}  # fmt: skip


class Size(NamedTuple):
    """Requests for each operation, that fit the document and that do not; the same below a subchannel; the share of
    strangers, one in so many.
    """

    right: int
    wrong: int
    right_below: int
    wrong_below: int
    strangers: int


#: most of the time goes into making requests, so few of them are made for each operation by default
CI, FULL = Size(5, 2, 2, 0, 5), Size(40, 10, 10, 2, 5)


async def fill(house: House) -> None:
    await house.person("owner")
    await house.channel("team", owner="owner")
    await house.channel("team/dev", owner="owner")
    await house.upload("team", "tea")
    await house.upload("team/dev", "tea")
    assert (await call(house.admin, "POST", "/api/groups", {"name": "people"})).status == 201


async def answers_conform(house: House, size: Size) -> None:
    document = await read(house.admin, "/api/openapi.json")
    wrong: list[str] = []
    asked = strangers = 0
    for operation in operations(document):
        below = "{subchannel}" in operation.path
        count = (size.right_below, size.wrong_below) if below else (size.right, size.wrong)
        for case in cases_of(operation, *count):
            asked += 1
            known = KNOWN if asked % 2 and not ends_it(operation) else {}
            stranger = asked % size.strangers == 0
            strangers += stranger
            fault = await ask(house.web if stranger else house.admin, case, known)
            wrong += [fault] if fault else []
    assert not wrong, f"{len(wrong)} of {asked}:\n" + "\n".join(wrong[:25])
    assert asked > 1_200
    assert strangers > 200


def ends_it(operation: Any) -> bool:
    """Say whether what the others ask about would be gone."""
    return operation.method.upper() == "DELETE" or (operation.method.upper() == "PUT" and "/users/" in operation.path)


@pytest.mark.parametrize("backend", ["sqlite+folder"], indirect=True)
async def test_every_answer_is_what_the_document_says(backend: Backend) -> None:
    async with open_house(backend) as house:
        await fill(house)
        await answers_conform(house, CI)


@pytest.mark.full
async def test_every_answer_is_what_the_document_says_to_many(backend: Backend) -> None:
    async with open_house(backend) as house:
        await fill(house)
        await answers_conform(house, FULL)
