"""The one permission table: which action needs which right, and who has which right.

An action's name is the scope a token needs for it. An action belongs to a category and needs a level in it; a caller
has in each category the highest of

- the level of their *roles*, on whatever is open to them (a private channel is never opened by a role, except `admin`);
- on a channel they own or were granted, themselves or through a group, their level on *that channel*, in the categories
  a channel's owner governs.

Whoever shows a credential that counts may ask who that makes them, whatever their roles. Subchannels are channels of
their own: nothing is inherited from the parent. A token can only take away. A resource token reaches its channels up to
their levels, and elsewhere, also where no channel is asked about, what a stranger may.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum, IntEnum
from typing import Literal, NamedTuple

import msgspec

from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError


class Level(IntEnum):
    """What may be done in a category: each level includes those below it."""

    NONE = 0
    READ = 1  #: view
    WRITE = 2  #: view and create
    MANAGE = 3  #: view, create, edit, delete


NONE, READ, WRITE, MANAGE = Level


class Category(NamedTuple):
    """The level each role is given at first, and whether a right on one channel counts in this category."""

    everyone: Level
    author: Level
    of_channel: bool  #: owners (manage) and grantees (their level) have it on their channels


#: the rights each role is given at first. `admin` has MANAGE in all, always; the last two are the server's own.
CATEGORIES: dict[str, Category] = {
    "channel": Category(READ, WRITE, True),
    "channel.default-channel": Category(NONE, MANAGE, False),  # of their own account
    "channel.group": Category(READ, READ, True),
    "channel.mirror": Category(NONE, NONE, False),
    "subchannel": Category(READ, READ, True),
    "subchannel.group": Category(READ, READ, True),
    "subchannel.mirror": Category(NONE, NONE, False),
    "artifact": Category(READ, READ, True),
    "cve": Category(NONE, NONE, False),
    "roles": Category(NONE, NONE, False),
    "notification": Category(NONE, NONE, True),
    "audit": Category(NONE, NONE, False),
    "policy": Category(NONE, NONE, False),
    "account": Category(NONE, WRITE, False),
    "system": Category(NONE, NONE, False),
}

Action = Literal[
    "artifact:view", "artifact:download", "artifact:create", "artifact:edit", "artifact:delete",
    "channel:view", "channel:view-artifacts", "channel:create", "channel:edit", "channel:delete", "channel:history",
    "channel.default-channel:edit",
    "channel.group:view", "channel.group:create", "channel.group:edit",
    "channel.mirror:view", "channel.mirror:edit",
    "subchannel:view", "subchannel:view-artifacts", "subchannel:create", "subchannel:edit", "subchannel:delete",
    "subchannel:history",
    "subchannel.group:view", "subchannel.group:edit",
    "subchannel.mirror:view", "subchannel.mirror:edit",
    "mirror:view",
    "cve:view", "cve:edit",
    "roles:view", "roles:edit",
    "notification:view", "notification:edit",
    "audit:view",
    "policy:view", "policy:create", "policy:edit", "policy:delete",
    "account:view", "account:edit", "account:manage",
    "system:manage",
]  # fmt: skip

#: action -> (category, level needed in it)
ACTIONS: dict[Action, tuple[str, Level]] = {
    "artifact:view": ("artifact", READ),
    "artifact:download": ("artifact", READ),
    "artifact:create": ("artifact", WRITE),
    "artifact:edit": ("artifact", MANAGE),
    "artifact:delete": ("artifact", MANAGE),
    "channel:view": ("channel", READ),
    "channel:view-artifacts": ("channel", READ),
    "channel:create": ("channel", WRITE),  # asked of the INSTALLATION
    "channel:edit": ("channel", MANAGE),
    "channel:delete": ("channel", MANAGE),
    "channel:history": ("channel", MANAGE),
    "channel.default-channel:edit": ("channel.default-channel", MANAGE),
    "channel.group:view": ("channel.group", READ),
    "channel.group:create": ("channel.group", WRITE),  # asked of the INSTALLATION
    "channel.group:edit": ("channel.group", MANAGE),
    "channel.mirror:view": ("channel.mirror", MANAGE),
    "channel.mirror:edit": ("channel.mirror", MANAGE),
    "subchannel:view": ("subchannel", READ),
    "subchannel:view-artifacts": ("subchannel", READ),
    "subchannel:create": ("subchannel", MANAGE),  # asked of the parent
    "subchannel:edit": ("subchannel", MANAGE),
    "subchannel:delete": ("subchannel", MANAGE),
    "subchannel:history": ("subchannel", MANAGE),
    "subchannel.group:view": ("subchannel.group", READ),
    "subchannel.group:edit": ("subchannel.group", MANAGE),
    "subchannel.mirror:view": ("subchannel.mirror", MANAGE),
    "subchannel.mirror:edit": ("subchannel.mirror", MANAGE),
    "mirror:view": ("channel.mirror", MANAGE),  # every mirror of the installation
    "cve:view": ("cve", READ),
    "cve:edit": ("cve", MANAGE),
    "roles:view": ("roles", READ),
    "roles:edit": ("roles", MANAGE),
    "notification:view": ("notification", READ),
    "notification:edit": ("notification", MANAGE),
    "audit:view": ("audit", READ),
    "policy:view": ("policy", READ),
    "policy:create": ("policy", WRITE),
    "policy:edit": ("policy", MANAGE),
    "policy:delete": ("policy", MANAGE),
    "account:view": ("account", READ),  # one's own account
    "account:edit": ("account", WRITE),  # one's own tokens; a new password needs the old one besides
    "account:manage": ("account", MANAGE),  # everybody's
    "system:manage": ("system", MANAGE),
}

#: what anybody known may do, and any token of theirs, whatever its scopes: clients ask who they are before all else
ALWAYS_IN_TOKENS: frozenset[str] = frozenset({"account:view"})
#: where a category stands in `Levels`
_PLACE = {category: place for place, category in enumerate(CATEGORIES)}
#: the `privacy` of a group of people, which its members may know of
GROUP = "group"


class Target(msgspec.Struct, frozen=True):
    """What an action is about: a channel or a group, as far as permissions care, or one of the two constants below."""

    privacy: str | None  #: private | authenticated | public, or GROUP; None: neither a channel nor a group
    owner_id: int | None = None
    grant: int = 0  #: the Level this very caller was granted on it
    channel_id: int | None = None
    subchannel: bool = False
    exists: bool = True


#: actions that are about no channel: creating one, one's own account, the system
INSTALLATION = Target(privacy=None)
#: a channel that is not there; it is answered like one that the caller may not know about
NOWHERE = Target(privacy="private", exists=False)


class Decision(Enum):
    """The answer of `permit`. Doors turn it into a status with `refusal`."""

    ALLOWED = "allowed"
    UNAUTHENTICATED = "unauthenticated"  #: the caller may know of it, and must first say who they are
    FORBIDDEN = "forbidden"  #: the caller may know of it, and lacks the right
    INVISIBLE = "invisible"  #: the caller may not know whether it exists


def permit(principal: Principal, action: Action, target: Target) -> Decision:
    """Decide whether `principal` may do `action` to `target`. Pure; the only place that says so.

    On a subchannel `channel…` actions mean `subchannel…`, so that doors need not tell the two apart.
    """
    if not _open_to(principal, target):
        return Decision.INVISIBLE
    action = _on_subchannel(action) if target.subchannel else action
    if _right(principal, action, target) and in_scope(principal, action) and _in_reach(principal, action, target):
        return Decision.ALLOWED
    return Decision.FORBIDDEN if principal.known else Decision.UNAUTHENTICATED


def _open_to(principal: Principal, target: Target) -> bool:
    """Whether the caller may know that the target exists."""
    if not target.exists:
        return False
    if target.privacy in (None, "public"):
        return True
    if principal.resources is not None and not _listed(principal, target):
        return False
    if principal.role == "admin" or (target.privacy == "authenticated" and principal.known):
        return True
    if target.privacy == GROUP and role_level(principal, "channel.group") >= WRITE:
        return True
    return channel_level(principal, target) >= READ


def _right(principal: Principal, action: Action, target: Target) -> bool:
    if principal.known and action in ALWAYS_IN_TOKENS:
        return True
    category, needed = ACTIONS[action]
    level = role_level(principal, category)
    if CATEGORIES[category].of_channel:
        level = max(level, channel_level(principal, target))
    return level >= needed


def _in_reach(principal: Principal, action: Action, target: Target) -> bool:
    """Whether the resource token shown, if any, reaches as far as `action` on the target."""
    if principal.resources is None or action in ALWAYS_IN_TOKENS:
        return True
    stranger = principal.stranger
    return ACTIONS[action][1] <= _listed(principal, target) or (
        _open_to(stranger, target) and _right(stranger, action, target)
    )


def _listed(principal: Principal, target: Target) -> int:
    """Return the level a resource token gives on the target; 0 when it does not name it."""
    resources = principal.resources
    if not resources or target.channel_id is None:
        return 0
    at = bisect_left(resources, (target.channel_id,))  # they are sorted, and a token may have thousands
    return resources[at][1] if at < len(resources) and resources[at][0] == target.channel_id else 0


def role_level(principal: Principal, category: str) -> Level:
    """Return the level that the caller's roles give in a category by themselves."""
    if principal.role == "admin":
        return MANAGE
    if principal.levels is not None:
        return Level(principal.levels[_PLACE[category]])
    row = CATEGORIES[category]
    return row.author if principal.role == "author" else row.everyone


def channel_level(principal: Principal, target: Target) -> Level:
    """Return the level the caller has on this very channel, by owning it or by a grant."""
    if not principal.known or target.privacy is None:
        return NONE
    return MANAGE if target.owner_id == principal.account_id else Level(target.grant)


def in_scope(principal: Principal, action: Action) -> bool:
    """Whether the token shown, if any, reaches as far as `action`."""
    return principal.scopes is None or action in principal.scopes or action in ALWAYS_IN_TOKENS


def _on_subchannel(action: Action) -> Action:
    counterpart = "sub" + action
    return counterpart if counterpart in ACTIONS else action


def grantable(principal: Principal) -> list[Action]:
    """Return the scopes the caller can put into a token: those of actions that some target would allow them."""
    return [
        action
        for action, (category, needed) in ACTIONS.items()
        if in_scope(principal, action)
        and (role_level(principal, category) >= needed or (CATEGORIES[category].of_channel and principal.known))
    ]


def refusal(decision: Decision, principal: Principal, action: Action, *, data_plane: bool) -> PackhouseError:
    """Return the error for a decision other than ALLOWED about `action`.

    What a caller may not know of is 404, and the same as if it were absent. On the data plane whoever is anonymous gets
    401 instead, existing or not: package clients show a stored credential only when asked.
    """
    if decision is Decision.UNAUTHENTICATED or (decision is Decision.INVISIBLE and data_plane and not principal.known):
        return PackhouseError("unauthenticated", "This needs a credential.", "Log in, or send a token.")
    if decision is Decision.INVISIBLE:
        return PackhouseError("not_found", "There is no such channel.", "Check its name, and that you may see it.")
    scopes = dict.fromkeys((action, _on_subchannel(action)))
    if not all(in_scope(principal, scope) for scope in scopes):
        hint = f"Use a token whose scopes include {' and, for subchannels, '.join(scopes)}."
        return PackhouseError("forbidden", "The scopes of this token do not reach that far.", hint)
    if principal.resources is not None:
        hint = "Use one with a higher level on this channel, or one that has scopes."
        return PackhouseError("forbidden", "This resource token, or whoever made it, may not do this here.", hint)
    hint = f"{_who_may(action)} may do this: ask one, or have it done."
    return PackhouseError("forbidden", f"The user {principal.username} lacks the right {action}.", hint)


def _who_may(action: Action) -> str:
    category, _ = ACTIONS[action]
    if CATEGORIES[category].of_channel:
        return "The owner of the channel and administrators"
    return "Administrators, and whose role has the right,"
