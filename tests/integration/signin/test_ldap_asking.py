"""Who a real OpenLDAP says somebody is, and in which groups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.workflows.signin.directory.asking import everybody, sign_in
from packhouse.workflows.signin.identity import LdapProvider
from tests.kit.slapd import GROUPS, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd, cn, group, person, slapd, uid

MANY = 1_200
CROWD = [f"p{number}" for number in range(MANY)]


@pytest.fixture(scope="module")
def corp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    people = {uid(name): person(name) for name in [*CROWD, "kim", "lee", "sam"]}
    people["cn=Twin,ou=people,dc=example,dc=org"] = {**person("twin"), "cn": ["Twin"]}
    people["cn=Twin2,ou=people,dc=example,dc=org"] = {**person("twin"), "cn": ["Twin2"]}
    groups = {
        cn("data"): group("data", [uid("kim").upper(), *map(uid, CROWD)]),
        cn("science"): group("science", [cn("data"), uid("lee")]),
        cn("all"): group("all", [cn("science"), cn("circle")]),
        cn("circle"): group("circle", [cn("all")]),
        cn("other"): group("other", [uid("sam")]),
    }
    with slapd(tmp_path_factory.mktemp("corp"), {**people, **groups}) as server:
        yield server


def provider(server: Slapd, **more: object) -> LdapProvider:
    values: dict[str, object] = {"name": "corp", "url": server.tls_url, "ca_file": str(server.ca), "bind_dn": SERVICE}
    values |= {"bind_password": SERVICE_PASSWORD, "user_base": PEOPLE, "group_base": GROUPS, "timeout_seconds": 30.0}
    return LdapProvider(**{**values, **more})  # type: ignore[arg-type]  # of mixed types


async def test_a_login_finds_who_it_is_and_their_groups_however_deep(corp: Slapd) -> None:
    known = await sign_in(provider(corp), "Kim", "kim-password")
    assert known is not None and known.person.username == "kim" and len(known.person.subject) == 36
    assert known.groups == {"data", "science", "all", "circle"}
    flat = await sign_in(provider(corp, nested="no"), "kim", "kim-password")
    assert flat is not None and flat.groups == {"data"} and flat.person.subject == known.person.subject


@pytest.mark.parametrize(
    "username, password",
    [
        ("kim", "wrong"),
        ("kim", ""),
        ("", "kim-password"),
        ("k*", "kim-password"),
        ("*", "kim-password"),
        ("kim)(uid=kim", "kim-password"),
        ("kim\0", "kim-password"),
        ("uid=kim,ou=people,dc=example,dc=org", "kim-password"),
        ("twin", "twin-password"),
        ("nobody", "nobody-password"),
    ],
)
async def test_who_is_not_exactly_one_person_with_that_password_is_nobody(
    corp: Slapd, username: str, password: str
) -> None:
    assert await sign_in(provider(corp), username, password) is None


async def test_who_is_in_no_required_group_does_not_get_in(corp: Slapd) -> None:
    strict = provider(corp, required_groups=("all",))
    assert await sign_in(strict, "lee", "lee-password") is not None
    assert await sign_in(strict, "sam", "sam-password") is None
    assert "sam" not in {known.person.username for known in (await everybody(strict)).values()}


async def test_everybody_is_as_at_their_login(corp: Slapd) -> None:
    found = await everybody(provider(corp))
    by_name = {known.person.username: known for known in found.values()}
    assert set(CROWD) | {"kim", "lee", "sam", "twin"} == set(by_name)
    for name in ("kim", "lee", "sam", "p7"):
        assert by_name[name] == await sign_in(provider(corp), name, f"{name}-password")
    assert by_name["sam"].groups == {"other"}


async def test_a_group_base_that_is_not_there_is_said_not_taken_for_no_groups(corp: Slapd) -> None:
    with pytest.raises(PackhouseError, match="nothing at the base") as caught:
        await everybody(provider(corp, group_base="ou=gone,dc=example,dc=org"))
    assert caught.value.code == "directory_failed"
