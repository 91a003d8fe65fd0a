"""What entries say of people and groups, as OpenLDAP and Active Directory write them."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.directory import Entry
from packhouse.workflows.signin.directory.people import (
    Group,
    group_of,
    is_part,
    members_in_chain,
    memberships,
    named,
    names,
    person_of,
    with_member,
)
from packhouse.workflows.signin.identity import LdapProvider

pytest.importorskip("ldap")

OPEN = LdapProvider(name="open", url="ldaps://d", user_base="ou=p")
ACTIVE = LdapProvider(
    name="active",
    url="ldaps://d",
    user_base="ou=p",
    username_attribute="sAMAccountName",
    subject_attribute="objectGUID",
    nested="in-chain",
)
GUID = UUID("01234567-89ab-cdef-0123-456789abcdef")


def entry(dn: str = "cn=Kim,ou=p", **values: bytes) -> Entry:
    return Entry(dn, {name.lower(): [value] for name, value in values.items()})


def test_a_person_of_openldap() -> None:
    found = person_of(OPEN, entry(uid=b"kim", entryUUID=b"u-1", mail=b"k@x.org", givenName=b"Kim", sn="Lé".encode()))
    assert found is not None and not found.disabled
    assert (found.subject, found.username, found.email, found.first_name) == ("u-1", "kim", "k@x.org", "Kim")
    assert found.last_name == "Lé"


def test_a_person_of_active_directory_is_known_by_the_guid_as_administrators_write_it() -> None:
    found = person_of(ACTIVE, entry(sAMAccountName=b"kim", objectGUID=GUID.bytes_le, userAccountControl=b"512"))
    assert found is not None and found.subject == str(GUID) and not found.disabled


@pytest.mark.parametrize("control, disabled", [(b"512", False), (b"514", True), (b"66050", True), (b"x", False)])
def test_an_account_disabled_there(control: bytes, disabled: bool) -> None:
    found = person_of(ACTIVE, entry(sAMAccountName=b"kim", objectGUID=GUID.bytes_le, userAccountControl=control))
    assert found is not None and found.disabled is disabled


def test_a_locked_account_of_389() -> None:
    found = person_of(OPEN, entry(uid=b"kim", entryUUID=b"u-1", nsAccountLock=b"TRUE"))
    assert found is not None and found.disabled


def test_without_a_name_or_what_stays_an_entry_is_nobody() -> None:
    assert person_of(OPEN, entry(uid=b"kim")) is None
    assert person_of(OPEN, entry(entryUUID=b"u-1")) is None


def test_filters_take_names_for_names() -> None:
    assert named(OPEN, "a*)(uid=b") == r"(&(objectClass=person)(uid=a\2a\29\28uid=b))"
    assert with_member(OPEN, "cn=a(b)").endswith(r"(member=cn=a\28b\29))")
    assert with_member(ACTIVE, "cn=a").endswith("(member:1.2.840.113556.1.4.1941:=cn=a))")
    assert members_in_chain(ACTIVE, "cn=a") == "(&(objectClass=person)(memberOf:1.2.840.113556.1.4.1941:=cn=a))"


def test_a_part_of_a_large_group_is_noticed() -> None:
    assert is_part(ACTIVE, Entry("cn=g", {"member;range=0-1499": [b"cn=a"], "member": []}))
    assert not is_part(ACTIVE, Entry("cn=g", {"member": [b"cn=a"]}))


def group(name: str, *members: str) -> Group:
    return Group(f"cn={name}", name, frozenset(members))


def test_groups_in_groups_and_in_circles() -> None:
    groups = [group("a", "cn=b", "cn=kim"), group("b", "cn=c"), group("c", "cn=a", "cn=lee"), group("d", "cn=d")]
    nested = memberships(groups, nested=True)
    assert {one.name for one in nested["cn=kim"]} == {one.name for one in nested["cn=lee"]} == {"a", "b", "c"}
    direct = memberships(groups, nested=False)
    assert [one.name for one in direct["cn=kim"]] == ["a"] and [one.name for one in direct["cn=lee"]] == ["c"]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=30))
def test_the_groups_of_somebody_are_those_they_can_be_reached_from(edges: list[tuple[int, int]]) -> None:
    groups = [group(f"{n}", *(f"cn={m}" for g, m in edges if g == n)) for n in range(7)]
    reached = {(g, m) for g, m in edges}
    while more := {(g, m) for g, x in reached for y, m in reached if x == y} - reached:
        reached |= more
    found = memberships(groups, nested=True)
    assert {(int(one.name), int(dn[3:])) for dn, above in found.items() for one in above} == reached


def test_the_file_may_name_a_group_by_its_dn() -> None:
    provider = LdapProvider(name="o", url="ldaps://d", user_base="ou=p", roles={"CN=Ops, OU=Groups": "admin"})
    mine = group_of(provider, entry("cn=ops,ou=groups", cn=b"ops"))
    other = group_of(provider, entry("cn=ops,ou=play", cn=b"ops"))
    assert provider.roles_of(names(provider, [mine])) == {"admin"}
    assert provider.roles_of(names(provider, [other])) == frozenset()
