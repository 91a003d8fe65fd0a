"""What a synchronisation would change: the difference between what a directory says and what is known of it; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from packhouse.catalog.accounts.account import DIRECTORY
from packhouse.catalog.identities.store import Vouched
from packhouse.workflows.signin.directory.asking import Known

#: so few people may leave at once whatever share they are: small teams shrink
FEW = 3


class Change(NamedTuple):
    """What becomes of one account."""

    account: Vouched
    known: Known | None  #: None: the directory does not let them in any more
    groups: frozenset[int]
    roles: frozenset[int]


class Plan(NamedTuple):
    """What a synchronisation does."""

    changes: list[Change]
    confirmed: list[int]  #: accounts of which nothing changes but that the directory knows them still
    lost: int  #: people who would lose their access, or all their groups and roles
    before: int  #: how many of them had any


def plan(
    accounts: Iterable[Vouched],
    found: Mapping[str, Known],
    group_ids: Callable[[frozenset[str]], frozenset[int]],
    role_ids: Callable[[frozenset[str]], frozenset[int]],
) -> Plan:
    """Return the difference.

    `found` is by subject; `group_ids` and `role_ids` say what the directory's groups are here.
    """
    made = Plan([], [], 0, 0)
    lost = before = 0
    for account in _once_each(accounts, found):
        known = found.get(account.subject)
        change = Change(account, known, group_ids(known.groups), role_ids(known.groups)) if known else _none(account)
        had = bool(account.groups or account.roles) or (account.own and account.disabled_by is None)
        before += had
        lost += had and _loses(change)
        if _differs(change):
            made.changes.append(change)
        elif known is not None:
            made.confirmed.append(account.account_id)
    return made._replace(lost=lost, before=before)


def shrinks(planned: Plan, percent: int) -> bool:
    """Tell whether more than `percent` would lose what they have: a directory that answers wrongly looks like that."""
    return planned.lost > FEW and planned.lost * 100 > percent * planned.before


def profile(known: Known) -> tuple[str, str, str]:
    """Return what the directory says of somebody, in the order of `Vouched.profile`."""
    return known.person.email, known.person.first_name, known.person.last_name


def _once_each(accounts: Iterable[Vouched], found: Mapping[str, Known]) -> Iterable[Vouched]:
    """Return each account once, as whom the directory still has: whoever was made anew there is two to it."""
    chosen: dict[int, Vouched] = {}
    for account in accounts:
        if account.account_id not in chosen or account.subject in found:
            chosen[account.account_id] = account
    return chosen.values()


def _none(account: Vouched) -> Change:
    return Change(account, None, frozenset(), frozenset())


def _loses(change: Change) -> bool:
    account = change.account
    if change.known is None:
        return True
    return bool(account.groups or account.roles) and not change.groups and not change.roles


def _differs(change: Change) -> bool:
    account, known = change.account, change.known
    if (account.groups, account.roles) != (change.groups, change.roles):
        return True
    if known is None:
        return account.own and account.disabled_by is None
    back = account.own and account.disabled_by == DIRECTORY
    return back or account.external != known.person.dn or (account.own and account.profile != profile(known))
