"""What is asked of a directory: one person with their password, or everybody."""

from __future__ import annotations

from typing import NamedTuple

from packhouse.core.directory import Directory, DirectoryServer, Entry, connected, normal_dn, proves
from packhouse.core.errors import PackhouseError
from packhouse.core.log import get_logger
from packhouse.workflows.signin.directory.people import (
    Group,
    Person,
    attributes,
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

_log = get_logger("packhouse.signin")
#: how deep groups in groups are followed one by one, and how many names of a person are followed
_DEPTH = 20


class Known(NamedTuple):
    """Somebody and the names of their groups there."""

    person: Person
    groups: frozenset[str]


def server_of(provider: LdapProvider) -> DirectoryServer:
    """Return how the provider is reached."""
    return DirectoryServer(
        url=provider.url,
        ca_file=provider.ca_file,
        plain=provider.allow_plain,
        bind_dn=provider.bind_dn,
        bind_password=provider.bind_password,
        timeout=provider.timeout_seconds,
    )


async def sign_in(provider: LdapProvider, username: str, password: str) -> Known | None:
    """Return who has that name and that password; None when nobody has, or they are disabled or in no required group.

    Exactly one entry must have the name. Raises PackhouseError("directory_failed") when the directory does not say.
    """
    if not username or not password:
        return None
    async with connected(server_of(provider)) as directory:
        found = await directory.find(provider.user_base, named(provider, username), attributes(provider))
        person = person_of(provider, found[0]) if len(found) == 1 else None
        if person is None or person.disabled or not await proves(server_of(provider), person.dn, password):
            return None
        groups = names(provider, await _groups_of(provider, directory, person.dn))
    if not provider.admits(groups):
        why = "in none of the required groups"
        _log.warning("sign-in refused", provider=provider.name, account=person.username, why=why)
        return None
    return Known(person, groups)


async def everybody(provider: LdapProvider) -> dict[str, Known]:
    """Return everybody who may come in, by subject. Raises PackhouseError("directory_failed"); never a part."""
    async with connected(server_of(provider)) as directory:
        people = [
            person
            async for page in directory.pages(provider.user_base, provider.user_filter, attributes(provider))
            for person in (person_of(provider, entry) for entry in page)
            if person is not None and not person.disabled
        ]
        groups = await _all_memberships(provider, directory)
    known = (Known(person, names(provider, groups.get(normal_dn(person.dn), ()))) for person in people)
    return {one.person.subject: one for one in known if provider.admits(one.groups)}


async def _groups_of(provider: LdapProvider, directory: Directory, dn: str) -> list[Group]:
    if not provider.group_base:
        return []
    found: dict[str, Group] = {}
    waiting = [dn]
    for _ in range(_DEPTH if provider.nested == "walk" else 1):
        above: list[str] = []
        for member in waiting:
            for entry in await _search(provider, directory, with_member(provider, member)):
                group = group_of(provider, entry)
                if group.dn not in found:
                    found[group.dn] = group
                    above.append(entry.dn)
        waiting = above
    return list(found.values())


async def _search(provider: LdapProvider, directory: Directory, matching: str) -> list[Entry]:
    return await directory.find(provider.group_base, matching, [provider.group_name_attribute])


async def _all_memberships(provider: LdapProvider, directory: Directory) -> dict[str, list[Group]]:
    """Return everybody's groups by the normal form of their DN."""
    if not provider.group_base:
        return {}
    if provider.nested == "in-chain":
        return await _in_chain(provider, directory)
    groups = []
    wanted = [provider.group_name_attribute, provider.member_attribute]
    async for page in directory.pages(provider.group_base, provider.group_filter, wanted):
        for entry in page:
            if is_part(provider, entry):
                raise PackhouseError(
                    "directory_failed",
                    f"The directory {provider.url} gives only a part of the members of {entry.dn[:200]}.",
                    'Set `nested = "in-chain"` for this provider: Active Directory answers so for large groups.',
                )
            groups.append(group_of(provider, entry))
    return memberships(groups, nested=provider.nested == "walk")


async def _in_chain(provider: LdapProvider, directory: Directory) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for entry in await _search(provider, directory, provider.group_filter):
        group = group_of(provider, entry)
        async for page in directory.pages(provider.user_base, members_in_chain(provider, entry.dn), ["1.1"]):
            for member in page:
                found.setdefault(normal_dn(member.dn), []).append(group)
    return found
