"""LDAP against a real OpenLDAP: who proves a password, what is found, and what is never sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.core.directory import DirectoryServer, connected, escaped, normal_dn, proves
from packhouse.core.errors import PackhouseError
from tests.kit.processes import free_port
from tests.kit.slapd import BASE, PEOPLE, SERVICE, SERVICE_PASSWORD, Slapd, person, slapd, uid
from tests.kit.tls import Authority

MANY = 2_500


@pytest.fixture(scope="module")
def corp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    people = {uid(f"p{number}"): person(f"p{number}") for number in range(MANY)}
    people[uid("kim")] = person("kim", givenName="Kim")
    people[f"uid=o\\2Cdd (x)*,{PEOPLE}"] = person("o,dd (x)*", "odd-password")
    with slapd(tmp_path_factory.mktemp("corp"), people) as server:
        yield server


def asked(server: Slapd, **more: object) -> DirectoryServer:
    values = {"url": server.tls_url, "ca_file": str(server.ca), "bind_dn": SERVICE, "bind_password": SERVICE_PASSWORD}
    return DirectoryServer(**{**values, "timeout": 30.0, **more})  # type: ignore[arg-type]  # of mixed types


@pytest.mark.parametrize("how", ["ldaps", "StartTLS", "plain"])
async def test_a_password_is_proved_by_binding(corp: Slapd, how: str) -> None:
    server = asked(corp) if how == "ldaps" else asked(corp, url=corp.url, plain=how == "plain")
    assert await proves(server, uid("kim"), "kim-password")
    assert not await proves(server, uid("kim"), "kim-passwor")
    assert not await proves(server, uid("nobody"), "kim-password")
    assert not await proves(server, "no dn at all", "kim-password")


async def test_an_empty_or_unsendable_password_never_reaches_the_directory(corp: Slapd) -> None:
    before = corp.log.count(" BIND ")
    for password in ("", "\0", "kim-password\0", "\ud800"):
        assert not await proves(asked(corp), uid("kim"), password)
    assert not await proves(asked(corp), "", "kim-password")
    assert corp.log.count(" BIND ") == before


async def test_everybody_is_found_page_by_page(corp: Slapd) -> None:
    async with connected(asked(corp)) as directory:
        sizes = [len(page) async for page in directory.pages(PEOPLE, "(objectClass=person)", ["uid"])]
        assert sum(sizes) == MANY + 2 and max(sizes) == 1_000
        found = await directory.find(PEOPLE, "(uid=kim)", ["uid", "mail", "entryUUID"])
    assert [entry.dn for entry in found] == [uid("kim")]
    assert found[0].text("MAIL") == "kim@example.org" and len(found[0].text("entryUUID")) == 36
    assert "userpassword" not in found[0].values


@pytest.mark.parametrize(
    "name", ["*", "k*m", "kim)(uid=*", "*)(|(uid=*", "kim\0", "\\", "kim)(objectClass=*)", "(", ")"]
)
async def test_a_name_is_a_name_whatever_it_holds(corp: Slapd, name: str) -> None:
    async with connected(asked(corp)) as directory:
        assert await directory.find(PEOPLE, f"(uid={escaped(name)})", ["uid"]) == []


async def test_what_is_escaped_is_still_found(corp: Slapd) -> None:
    async with connected(asked(corp)) as directory:
        found = await directory.find(PEOPLE, f"(uid={escaped('o,dd (x)*')})", ["uid"])
        assert [entry.text("uid") for entry in found] == ["o,dd (x)*"]
        assert await directory.find(PEOPLE, f"(uid={escaped(b'kim')})", ["uid"])
    assert await proves(asked(corp), found[0].dn, "odd-password")


def test_one_person_has_one_dn_however_it_is_written() -> None:
    assert normal_dn("UID=Kim, OU=People,dc=Example,DC=org") == normal_dn("uid=kim,ou=people,dc=example,dc=org")
    assert normal_dn("cn=a+uid=b,dc=x") == normal_dn("uid=B+cn=A, dc=x") != normal_dn("cn=a,uid=b,dc=x")
    assert normal_dn("cn=a\\,b,dc=x") == normal_dn("cn=a\\2Cb,dc=x") != normal_dn("cn=a,dc=x")
    assert normal_dn("no dn at all") == "no dn at all"


async def refusal(server: DirectoryServer) -> str:
    with pytest.raises(PackhouseError) as caught:
        async with connected(server) as directory:
            await directory.find(BASE, "(uid=kim)", ["uid"])
    assert caught.value.code == "directory_failed" and SERVICE_PASSWORD not in str(caught.value)
    return str(caught.value)


async def test_settings_that_do_not_fit_are_said(corp: Slapd) -> None:
    assert "does not take the password of `bind_dn`" in await refusal(asked(corp, bind_password="wrong"))
    assert "no connection that can be trusted" in await refusal(asked(corp, url=f"ldap://127.0.0.1:{free_port()}"))
    with pytest.raises(PackhouseError, match="a filter is ill-formed"):
        async with connected(asked(corp)) as directory:
            await directory.find(BASE, "(uid=", ["uid"])
    with pytest.raises(PackhouseError, match="nothing at the base of the search"):
        async with connected(asked(corp)) as directory:
            await directory.find(f"ou=gone,{BASE}", "(uid=kim)", ["uid"])


@pytest.mark.parametrize("how", ["ldaps", "StartTLS"])
async def test_a_certificate_nobody_known_signed_is_not_trusted(corp: Slapd, tmp_path: Path, how: str) -> None:
    other = Authority(tmp_path, "Another authority")
    url = corp.tls_url if how == "ldaps" else corp.url
    before = corp.log.count(" BIND ")
    assert "no connection that can be trusted" in await refusal(asked(corp, url=url, ca_file=str(other.ca)))
    assert "no connection that can be trusted" in await refusal(asked(corp, url=url, ca_file=""))
    assert corp.log.count(" BIND ") == before


async def test_a_certificate_for_another_host_is_not_trusted(tmp_path: Path) -> None:
    with slapd(tmp_path / "x", {}, authority=Authority(tmp_path), address="127.0.0.9") as server:
        for url in (server.tls_url, server.url):
            assert "no connection that can be trusted" in await refusal(asked(server, url=url))
        assert " BIND " not in server.log


async def test_an_authority_that_expired_is_not_trusted(tmp_path: Path) -> None:
    old = Authority(tmp_path, age=dt.timedelta(days=2))
    with slapd(tmp_path / "x", {}, authority=old) as server:
        for url in (server.tls_url, server.url):
            assert "no connection that can be trusted" in await refusal(asked(server, url=url))
        assert " BIND " not in server.log


async def test_a_server_without_starttls_gets_no_password(tmp_path: Path) -> None:
    with slapd(tmp_path / "x", {uid("kim"): person("kim")}, tls=False) as server:
        assert "StartTLS" in await refusal(asked(server, url=server.url))
        with pytest.raises(PackhouseError, match="StartTLS"):
            await proves(asked(server, url=server.url), uid("kim"), "kim-password")
        assert " BIND " not in server.log
        assert await proves(asked(server, url=server.url, plain=True), uid("kim"), "kim-password")


async def test_a_part_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    people = {uid(f"p{number}"): person(f"p{number}") for number in range(30)}
    with slapd(tmp_path / "x", people, most="10") as server, pytest.raises(PackhouseError, match="gives only a part"):
        async with connected(asked(server)) as directory:
            await directory.find(PEOPLE, "(objectClass=person)", ["uid"])
