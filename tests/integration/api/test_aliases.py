"""What packages are called in advisories: told with its reasons, from both sides, and corrected."""

from __future__ import annotations

from typing import Any

import pytest

from packhouse.catalog.vulnerabilities import aliases
from packhouse.catalog.vulnerabilities.aliases import AliasRow
from tests.kit.calls import call, read
from tests.kit.feeding import waiting
from tests.kit.house import House

URL = "/api/aliases"


async def correct(house: House, name: str, ecosystem: str, upstream: str, **more: Any) -> list[dict[str, Any]]:
    body = {"name": name, "ecosystem": ecosystem, "upstream": upstream, **more}
    answer = await call(house.admin, "POST", URL, body)
    assert answer.status == 200, answer.body
    return list(answer.json()["items"])


async def told(house: House, query: str) -> set[tuple[str, str, str, str, bool, bool]]:
    """Return name, ecosystem, upstream, provenance, negative, believed."""
    found = await read(house.admin, f"{URL}?{query}")
    words = ("name", "ecosystem", "upstream", "provenance", "negative", "believed")
    return {tuple(one[word] for word in words) for one in found["items"]}


async def keep(house: House, *rows: AliasRow) -> None:
    async def work(unit: Any) -> None:
        await aliases.put(unit, rows)

    await house.services.db.write(work)


async def test_a_correction_tells_which_names_it_takes_away(house: House) -> None:
    guess = AliasRow("conda", "acme", "PyPI", "acme", "convention", False, "acme-1.0-0.conda", 5)
    await keep(house, guess)
    body = {"name": "acme", "ecosystem": "PyPI", "upstream": "acme-core"}
    said = (await call(house.admin, "POST", URL, body)).json()
    assert [(one["upstream"], one["provenance"], one["believed"]) for one in said["no_longer"]] == [
        ("acme", "convention", False)
    ]
    assert (await call(house.admin, "POST", URL, {**body, "upstream": "acme"})).json()["no_longer"] == []


async def test_a_correction_has_the_last_word_and_can_be_taken_back(house: House) -> None:
    itself = ("mypackage", "conda", "mypackage", "itself", False, True)
    recipe = AliasRow("conda", "mypackage", "PyPI", "other", "recipe", False, "mypackage-1.0-0.conda", 5)
    await keep(house, recipe)
    before = {itself, ("mypackage", "PyPI", "other", "recipe", False, True)}
    assert await told(house, "name=mypackage") == before
    [one] = [item for item in await correct(house, "MyPackage", "pypi", "My_Upstream") if item["by"] == "admin"]
    assert (one["ecosystem"], one["upstream"], one["believed"]) == ("PyPI", "my-upstream", True)
    assert one["at"].startswith("20")
    assert await waiting(house.services) == {("conda", "mypackage")}
    await correct(house, "mypackage", "PyPI", "my.upstream")
    assert await waiting(house.services) == set(), "the same again changes nothing"
    await correct(house, "mypackage", "PyPI", "other", negative=True)
    assert await told(house, "name=mypackage") == {
        itself,
        ("mypackage", "PyPI", "my-upstream", "correction", False, True),
        ("mypackage", "PyPI", "other", "recipe", False, False),
        ("mypackage", "PyPI", "other", "correction", True, False),
    }
    await correct(house, "mypackage", "PyPI", "my-upstream", negative=True)
    changed = await told(house, "name=mypackage")
    assert ("mypackage", "PyPI", "my-upstream", "correction", True, False) in changed and len(changed) == 4
    await waiting(house.services)
    for upstream in ("My_upstream", "other"):
        gone = await call(house.admin, "DELETE", f"{URL}?name=mypackage&ecosystem=PyPI&upstream={upstream}")
        assert gone.status == 204
        assert await waiting(house.services) == {("conda", "mypackage")}
    assert await told(house, "name=mypackage") == before
    again = await call(house.admin, "DELETE", f"{URL}?name=mypackage&ecosystem=PyPI&upstream=other")
    assert again.status == 404, "what a file says is no correction"
    found = await read(house.admin, "/api/events?object=mypackage")
    assert [event["event_type"] for event in found["items"]] == [
        *["package_alias_correction_removed"] * 2, *["package_alias_corrected"] * 3,
    ]  # fmt: skip


async def test_that_a_package_is_nothing_of_an_ecosystem(house: House) -> None:
    await keep(house, AliasRow("conda", "tool", "PyPI", "tool", "contents", False, "tool-1.0-0.conda", 5))
    await correct(house, "tool", "PyPI", "*", negative=True)
    assert ("tool", "PyPI", "tool", "contents", False, False) in await told(house, "name=tool")
    assert (await call(house.admin, "DELETE", f"{URL}?name=tool&ecosystem=PyPI&upstream=*")).status == 204
    assert ("tool", "PyPI", "tool", "contents", False, True) in await told(house, "name=tool")


async def test_the_other_side_tells_which_packages_a_name_is(house: House) -> None:
    await house.channel("team")
    await house.upload("team", "py-opencv")
    await correct(house, "r-mine", "CRAN", "Mine")
    await correct(house, "mine-too", "CRAN", "mine")
    await correct(house, "not-mine", "CRAN", "mine", negative=True)
    await correct(house, "mine", "GitHub", "Acme/Mine")
    assert await told(house, "ecosystem=cran&upstream=MINE") == {
        ("r-mine", "CRAN", "mine", "correction", False, True),
        ("mine-too", "CRAN", "mine", "correction", False, True),
        ("not-mine", "CRAN", "mine", "correction", True, False),
    }
    assert await told(house, "ecosystem=GitHub&upstream=acme/mine") == {
        ("mine", "GitHub", "acme/mine", "correction", False, True)
    }
    known = await told(house, "ecosystem=PyPI&upstream=opencv-python")
    assert ("py-opencv", "PyPI", "opencv-python", "map", False, True) in known, "of packages that are there"
    assert {one[0] for one in known} == {"py-opencv"}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a", "ecosystem": "Nowhere", "upstream": "a"},
        {"name": "a", "ecosystem": "a\u0000", "upstream": "a"},
        {"name": "a b", "ecosystem": "PyPI", "upstream": "a"},
        {"name": "a", "ecosystem": "PyPI", "upstream": " "},
        {"name": "a", "ecosystem": "PyPI", "upstream": "a\nb"},
        {"name": "a", "ecosystem": "PyPI", "upstream": "a" * 300},
        {"name": "a", "ecosystem": "PyPI", "upstream": "*"},
        {"name": "a", "ecosystem": "PyPI"},
        {"name": "a", "ecosystem": "PyPI", "upstream": "a", "family": "rpm"},
    ],
)
async def test_what_is_no_name_is_refused(house: House, body: dict[str, str]) -> None:
    answer = await call(house.admin, "POST", URL, body)
    assert answer.status in (400, 415) and answer.json()["message"], answer.body
    assert await told(house, "name=a") == {("a", "conda", "a", "itself", False, True)}


async def test_questions_are_about_one_thing_and_of_those_who_may_ask(house: House) -> None:
    for query in ("", "family=conda", "name=a&ecosystem=PyPI", "ecosystem=PyPI", "upstream=a"):
        assert (await house.admin.get(f"{URL}?{query}")).status == 400
    for who in (house.as_("owner"), house.web):
        assert (await who.get(f"{URL}?name=a")).status in (401, 403)
        body = {"name": "a", "ecosystem": "PyPI", "upstream": "a"}
        assert (await call(who, "POST", URL, body)).status in (401, 403)
        assert (await call(who, "DELETE", f"{URL}?name=a&ecosystem=PyPI&upstream=a")).status in (401, 403)
