"""Nobody gives what they lack: the rule, of roles and accounts by `covers`, of a level on channels by `check_scopes`.

Who gives what to whom asks here: roles to people and groups, levels to roles, channels to people, groups and machines,
passwords to accounts (`governing.py`). What they hold is read in the unit that gives it.
"""

from __future__ import annotations

from packhouse.catalog.rights.permissions import ACTIONS, CATEGORIES, in_scope
from packhouse.catalog.rights.principal import Levels, Principal
from packhouse.core.errors import PackhouseError


def covers(giver: Principal, levels: Levels, *, admin: bool) -> bool:
    """Say whether somebody may give these levels, or the role `admin`. A limited token gives none."""
    if giver.role == "admin":
        return gives_all(giver)
    if admin or giver.scopes is not None or giver.resources is not None or giver.levels is None:
        return False
    return all(given <= own for given, own in zip(levels, giver.levels, strict=True))


def gives_all(giver: Principal) -> bool:
    """Say whether somebody may give everything, the role `admin` too: an administrator, who shows no limited token."""
    return giver.role == "admin" and giver.scopes is None and giver.resources is None


def check_scopes(giver: Principal, level: int) -> None:
    """Let a token give no level on a channel that allows more there than its scopes do.

    That the giver has the level is asked besides. Raises PackhouseError("forbidden").
    """
    allowed = (action for action, (of, needed) in ACTIONS.items() if CATEGORIES[of].of_channel and needed <= level)
    if not all(in_scope(giver, action) for action in allowed):
        raise PackhouseError(
            "forbidden",
            "Who has this level on a channel can do more there than the token you show.",
            "Log in, or give a lower level.",
        )
