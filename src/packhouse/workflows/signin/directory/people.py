"""What entries of a directory say of people and groups; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec

from packhouse.core.directory import Entry, escaped, normal_dn
from packhouse.core.mail import is_address
from packhouse.core.text import one_line
from packhouse.workflows.signin.identity import LdapProvider

#: [MS-ADTS] section 2.2.16: the account is disabled
_AD_DISABLED = 0x2
#: [MS-ADTS] section 3.1.1.3.4.4: follows members of members
IN_CHAIN = "1.2.840.113556.1.4.1941"
#: characters of a name
_NAME = 100
_CONTROL, _LOCK = "userAccountControl", "nsAccountLock"


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as the directory knows them."""

    subject: str  #: never given to somebody else
    username: str
    dn: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    disabled: bool = False


class Group(NamedTuple):
    """A group as the directory knows it; DNs are in their normal form."""

    dn: str
    name: str
    members: frozenset[str]


def attributes(provider: LdapProvider) -> list[str]:
    """Return the attributes that `person_of` reads."""
    return [
        provider.username_attribute,
        provider.subject_attribute,
        provider.email_attribute,
        provider.first_name_attribute,
        provider.last_name_attribute,
        _CONTROL,
        _LOCK,
    ]


def person_of(provider: LdapProvider, entry: Entry) -> Person | None:
    """Return whom an entry is about; None when it has no name or nothing that stays."""
    subject, username = _subject(provider, entry), entry.text(provider.username_attribute)
    if not subject or not username:
        return None
    control = entry.text(_CONTROL)
    return Person(
        subject=subject,
        username=username,
        dn=entry.dn,
        email=address if is_address(address := entry.text(provider.email_attribute)) else "",
        first_name=one_line(entry.text(provider.first_name_attribute), _NAME),
        last_name=one_line(entry.text(provider.last_name_attribute), _NAME),
        disabled=bool(control.isdecimal() and int(control) & _AD_DISABLED) or entry.text(_LOCK).lower() == "true",
    )


def _subject(provider: LdapProvider, entry: Entry) -> str:
    """Return what stays of somebody, as text: Active Directory's objectGUID is 16 bytes, in its own order."""
    value = bytes(next(iter(entry.values.get(provider.subject_attribute.lower(), ())), b""))
    if provider.subject_attribute.lower() == "objectguid" and len(value) == 16:
        return str(UUID(bytes_le=value))
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def named(provider: LdapProvider, username: str) -> str:
    """Return the filter that finds somebody by the name they log in with."""
    return f"(&{provider.user_filter}({provider.username_attribute}={escaped(username)}))"


def with_member(provider: LdapProvider, dn: str) -> str:
    """Return the filter that finds the groups with a member; in chain also those of their groups."""
    rule = f":{IN_CHAIN}:" if provider.nested == "in-chain" else ""
    return f"(&{provider.group_filter}({provider.member_attribute}{rule}={escaped(dn)}))"


def members_in_chain(provider: LdapProvider, dn: str) -> str:
    """Return the filter that finds the people of a group and of the groups in it (Active Directory)."""
    return f"(&{provider.user_filter}(memberOf:{IN_CHAIN}:={escaped(dn)}))"


def group_of(provider: LdapProvider, entry: Entry) -> Group:
    """Return a group with its members."""
    members = frozenset(normal_dn(text) for text in entry.texts(provider.member_attribute))
    return Group(normal_dn(entry.dn), entry.text(provider.group_name_attribute), members)


def is_part(provider: LdapProvider, entry: Entry) -> bool:
    """Tell whether an entry holds some of a group's members only, as Active Directory answers for large groups."""
    return any(name.startswith(f"{provider.member_attribute.lower()};range=") for name in entry.values)


def memberships(groups: Iterable[Group], *, nested: bool) -> dict[str, list[Group]]:
    """Return each member's groups by the member's DN; `nested`: with the groups that hold these, however deep.

    Groups may hold each other in circles.
    """
    direct: dict[str, list[Group]] = {}
    for group in groups:
        for member in group.members:
            direct.setdefault(member, []).append(group)
    if not nested:
        return direct
    return {member: _above(member, direct) for member in direct}


def _above(member: str, direct: Mapping[str, list[Group]]) -> list[Group]:
    found: dict[str, Group] = {}
    waiting = list(direct.get(member, ()))
    while waiting:
        group = waiting.pop()
        if group.dn not in found:
            found[group.dn] = group
            waiting.extend(direct.get(group.dn, ()))
    return list(found.values())


def names(provider: LdapProvider, groups: Iterable[Group]) -> frozenset[str]:
    """Return what the file calls groups: their names, and their DNs where it names one so."""
    written = {normal_dn(text): text for text in _mentioned(provider) if "=" in text}
    found = list(groups)
    return frozenset(group.name for group in found if group.name) | {
        written[group.dn] for group in found if group.dn in written
    }


def _mentioned(provider: LdapProvider) -> set[str]:
    return {*provider.groups, *provider.roles, *provider.required_groups}
