"""The permission table: every role, every kind of channel, every action."""

from __future__ import annotations

from itertools import product
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.catalog.rights.permissions import (
    ACTIONS,
    CATEGORIES,
    GROUP,
    INSTALLATION,
    MANAGE,
    NOWHERE,
    READ,
    WRITE,
    Action,
    Decision,
    Target,
    grantable,
    permit,
    refusal,
)
from packhouse.catalog.rights.principal import ANONYMOUS, Levels, Principal

ALLOWED, UNAUTHENTICATED, FORBIDDEN, INVISIBLE = Decision

ANN = Principal(1, "ann", "author")
BOB = Principal(2, "bob", "author")
ROOT = Principal(9, "root", "admin")


def channel(privacy: str, *, grant: int = 0, subchannel: bool = False) -> Target:
    """A channel of ann's."""
    return Target(privacy, owner_id=1, grant=grant, subchannel=subchannel)


principals = st.builds(
    Principal,
    account_id=st.integers(1, 3),
    username=st.just("x"),
    role=st.sampled_from(["author", "admin"]),
    scopes=st.none() | st.frozensets(st.sampled_from(sorted(ACTIONS))),
) | st.just(ANONYMOUS)
levels = st.lists(st.integers(0, 3), min_size=len(CATEGORIES), max_size=len(CATEGORIES)).map(tuple)
targets = st.builds(
    Target,
    privacy=st.sampled_from(["private", "authenticated", "public"]),
    owner_id=st.integers(1, 3),
    grant=st.integers(0, 3),
    subchannel=st.booleans(),
    channel_id=st.integers(1, 3),
) | st.sampled_from([INSTALLATION, NOWHERE])
actions = st.sampled_from(sorted(ACTIONS))


def test_the_table_and_the_type_name_the_same_actions_and_categories() -> None:
    assert set(get_args(Action)) == set(ACTIONS)
    assert {category for category, _ in ACTIONS.values()} == set(CATEGORIES)
    assert len(CATEGORIES) - 2 == 13  # the categories a role has levels in


#           public                     authenticated              private
READING = {
    "anonymous": (ALLOWED, INVISIBLE, INVISIBLE),
    "stranger": (ALLOWED, ALLOWED, INVISIBLE),
    "reader": (ALLOWED, ALLOWED, ALLOWED),
    "owner": (ALLOWED, ALLOWED, ALLOWED),
    "admin": (ALLOWED, ALLOWED, ALLOWED),
}
UPLOADING = {
    "anonymous": (UNAUTHENTICATED, INVISIBLE, INVISIBLE),
    "stranger": (FORBIDDEN, FORBIDDEN, INVISIBLE),
    "reader": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    "writer": (ALLOWED, ALLOWED, ALLOWED),
    "owner": (ALLOWED, ALLOWED, ALLOWED),
    "admin": (ALLOWED, ALLOWED, ALLOWED),
}
EDITING = {
    "anonymous": (UNAUTHENTICATED, INVISIBLE, INVISIBLE),
    "stranger": (FORBIDDEN, FORBIDDEN, INVISIBLE),
    "writer": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    "manager": (ALLOWED, ALLOWED, ALLOWED),
    "owner": (ALLOWED, ALLOWED, ALLOWED),
    "admin": (ALLOWED, ALLOWED, ALLOWED),
}
MIRRORING = {
    "anonymous": (UNAUTHENTICATED, INVISIBLE, INVISIBLE),
    "stranger": (FORBIDDEN, FORBIDDEN, INVISIBLE),
    "manager": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    "owner": (FORBIDDEN, FORBIDDEN, FORBIDDEN),
    "admin": (ALLOWED, ALLOWED, ALLOWED),
}
MATRIX = [
    (("channel:view", "channel:view-artifacts", "artifact:view", "artifact:download", "channel.group:view"), READING),
    (("artifact:create",), UPLOADING),
    (("channel:edit", "channel:delete", "channel:history", "channel.group:edit", "subchannel:create"), EDITING),
    (("artifact:edit", "artifact:delete"), EDITING),
    (("channel.mirror:view", "channel.mirror:edit"), MIRRORING),
]
WHO = {
    "anonymous": (ANONYMOUS, 0),
    "stranger": (BOB, 0),
    "reader": (BOB, READ),
    "writer": (BOB, WRITE),
    "manager": (BOB, MANAGE),
    "owner": (ANN, 0),
    "admin": (ROOT, 0),
}
CASES = [
    (action, who, privacy, subchannel, answers[column])
    for names, table in MATRIX
    for action in names
    for who, answers in table.items()
    for column, privacy in enumerate(("public", "authenticated", "private"))
    for subchannel in (False, True)
]


@pytest.mark.parametrize(("action", "who", "privacy", "subchannel", "expected"), CASES)
def test_default_matrix(action: Action, who: str, privacy: str, subchannel: bool, expected: Decision) -> None:
    principal, grant = WHO[who]
    assert permit(principal, action, channel(privacy, grant=grant, subchannel=subchannel)) is expected


@pytest.mark.parametrize(
    ("action", "anonymous", "author"),
    [
        ("channel:create", UNAUTHENTICATED, ALLOWED),
        ("channel.default-channel:edit", UNAUTHENTICATED, ALLOWED),
        ("account:view", UNAUTHENTICATED, ALLOWED),
        ("account:edit", UNAUTHENTICATED, ALLOWED),
        ("account:manage", UNAUTHENTICATED, FORBIDDEN),
        ("mirror:view", UNAUTHENTICATED, FORBIDDEN),
        ("cve:view", UNAUTHENTICATED, FORBIDDEN),
        ("roles:view", UNAUTHENTICATED, FORBIDDEN),
        ("audit:view", UNAUTHENTICATED, FORBIDDEN),
        ("policy:view", UNAUTHENTICATED, FORBIDDEN),
        ("system:manage", UNAUTHENTICATED, FORBIDDEN),
    ],
)
def test_actions_about_the_installation(action: Action, anonymous: Decision, author: Decision) -> None:
    assert permit(ANONYMOUS, action, INSTALLATION) is anonymous
    assert permit(ANN, action, INSTALLATION) is author
    assert permit(ROOT, action, INSTALLATION) is ALLOWED


@given(principals, actions, targets)
def test_a_token_only_takes_away(principal: Principal, action: Action, target: Target) -> None:
    person = Principal(principal.account_id, principal.username, principal.role)
    if permit(principal, action, target) is ALLOWED:
        assert permit(person, action, target) is ALLOWED
    # what the account may know about, its token may know about: no more 404s, only 403s
    assert (permit(principal, action, target) is INVISIBLE) == (permit(person, action, target) is INVISIBLE)


@given(principals, actions, targets)
def test_nobody_but_admins_owners_and_grantees_gets_into_private(p: Principal, action: Action, target: Target) -> None:
    inside = p.role == "admin" or (p.known and (target.owner_id == p.account_id or target.grant >= READ))
    if target.privacy == "private" and not (inside and target.exists):
        assert permit(p, action, target) is INVISIBLE


@given(principals, actions)
def test_what_is_not_there_looks_like_a_strangers_private_channel(principal: Principal, action: Action) -> None:
    if principal.role != "admin":
        private = Target("private", owner_id=99)
        assert permit(principal, action, NOWHERE) is permit(principal, action, private) is INVISIBLE
    assert permit(principal, action, NOWHERE) is INVISIBLE


@given(actions, targets, st.integers(1, 3))
def test_rights_grow_with_the_grant(action: Action, target: Target, account: int) -> None:
    person = Principal(account, "x", "author")
    answers = [permit(person, action, msgspec.structs.replace(target, grant=grant)) for grant in range(4)]
    allowed = [answer is ALLOWED for answer in answers]
    assert allowed == sorted(allowed)


@given(levels, levels, actions, targets)
def test_rights_grow_with_the_roles(some: Levels, more: Levels, action: Action, target: Target) -> None:
    both = tuple(map(max, some, more))
    person = Principal(1, "x", "everyone", levels=some)
    if permit(person, action, target) is ALLOWED:
        assert permit(msgspec.structs.replace(person, levels=both), action, target) is ALLOWED


@given(levels, levels, actions, targets, st.dictionaries(st.integers(1, 3), st.integers(1, 3)), st.booleans())
def test_a_resource_token_is_its_maker_on_its_channels_and_a_stranger_elsewhere(
    own: Levels, everyone: Levels, action: Action, target: Target, named: dict[int, int], admin: bool
) -> None:
    maker = Principal(1, "x", "admin" if admin else "author", levels=tuple(map(max, own, everyone)), everyone=everyone)
    token = msgspec.structs.replace(maker, resources=tuple(sorted(named.items())))
    answer, makers, strangers = (permit(who, action, target) for who in (token, maker, maker.stranger))
    wanted = "sub" + action if target.subchannel and "sub" + action in ACTIONS else action
    level = named.get(target.channel_id or 0, 0)
    if answer is ALLOWED:
        assert makers is ALLOWED
        assert level >= ACTIONS[wanted][1] or strangers is ALLOWED or action == "account:view"  # type: ignore[index]  # an action
    elif makers is ALLOWED:
        assert level < ACTIONS[wanted][1]  # type: ignore[index]  # an action
    if strangers is ALLOWED:
        assert answer is ALLOWED, "clients send one token to every channel of a host"
    if level == 0 and target.privacy in ("private", "authenticated"):
        assert answer is INVISIBLE


def test_whoever_is_known_may_ask_who_they_are() -> None:
    nothing = Principal(3, "service-account-channel-x", "everyone", levels=(0,) * len(CATEGORIES))
    token = msgspec.structs.replace(nothing, resources=((7, READ),), token_id="t")
    for who in (nothing, token, msgspec.structs.replace(nothing, scopes=frozenset())):
        assert permit(who, "account:view", INSTALLATION) is ALLOWED
        assert permit(who, "account:edit", INSTALLATION) is FORBIDDEN
    assert permit(ANONYMOUS, "account:view", INSTALLATION) is UNAUTHENTICATED


def test_a_group_is_known_to_its_members_and_to_who_may_make_groups() -> None:
    assert permit(BOB, "channel.group:view", Target(GROUP)) is INVISIBLE
    assert permit(BOB, "channel.group:view", Target(GROUP, grant=READ)) is ALLOWED
    assert permit(BOB, "channel.group:edit", Target(GROUP, grant=READ)) is FORBIDDEN
    assert permit(BOB, "channel.group:edit", Target(GROUP, grant=MANAGE)) is ALLOWED
    assert permit(ROOT, "channel.group:edit", Target(GROUP)) is ALLOWED
    assert permit(ANONYMOUS, "channel.group:view", Target(GROUP)) is INVISIBLE
    maker = Principal(2, "bob", "author", levels=tuple(WRITE if c == "channel.group" else 0 for c in CATEGORIES))
    assert permit(maker, "channel.group:create", INSTALLATION) is ALLOWED
    assert permit(maker, "channel.group:view", Target(GROUP)) is ALLOWED


def test_a_subchannel_needs_the_subchannel_scope() -> None:
    token = Principal(1, "ann", "author", scopes=frozenset({"channel:view", "channel:edit"}))
    assert permit(token, "channel:edit", channel("public")) is ALLOWED
    assert permit(token, "channel:edit", channel("public", subchannel=True)) is FORBIDDEN
    assert permit(token, "account:view", INSTALLATION) is ALLOWED


def test_scopes_on_offer() -> None:
    assert set(grantable(ROOT)) == set(ACTIONS)
    offered = set(grantable(ANN))
    assert {"artifact:create", "channel:create", "subchannel:edit", "notification:edit"} <= offered
    assert not offered & {"system:manage", "channel.mirror:edit", "account:manage", "cve:view", "audit:view"}
    assert set(grantable(Principal(1, "ann", "author", scopes=frozenset({"artifact:view"})))) == {
        "artifact:view",
        "account:view",
    }


@pytest.mark.parametrize(("privacy", "data_plane"), [*product(["authenticated", "private", None], [True, False])])
def test_outsiders_cannot_tell_absent_from_hidden(privacy: str | None, data_plane: bool) -> None:
    hidden = NOWHERE if privacy is None else Target(privacy, owner_id=1)
    error = refusal(
        permit(ANONYMOUS, "artifact:download", hidden), ANONYMOUS, "artifact:download", data_plane=data_plane
    )
    assert error.status == (401 if data_plane else 404)
    assert error.body() == refusal(INVISIBLE, ANONYMOUS, "artifact:download", data_plane=data_plane).body()


def test_statuses_of_known_callers() -> None:
    for data_plane in (True, False):
        hidden = permit(BOB, "channel:view", channel("private"))
        assert refusal(hidden, BOB, "channel:view", data_plane=data_plane).status == 404
        foreign = permit(BOB, "channel:edit", channel("public"))
        assert refusal(foreign, BOB, "channel:edit", data_plane=data_plane).status == 403
        refused = permit(ANONYMOUS, "artifact:create", channel("public"))
        assert refusal(refused, ANONYMOUS, "artifact:create", data_plane=data_plane).status == 401


def test_a_refusal_says_who_may() -> None:
    def told(principal: Principal, action: Action) -> str:
        return str(refusal(permit(principal, action, channel("public")), principal, action, data_plane=False))

    assert "Administrators, and whose role has the right, may" in told(BOB, "channel.mirror:edit"), "no owner may"
    nobody = Principal(BOB.account_id, "bob", "everyone")
    refused = refusal(FORBIDDEN, nobody, "account:edit", data_plane=False)
    assert "Administrators, and whose role has the right, may" in str(refused.hint), "they are a user themselves"
    assert "The owner of the channel" in told(BOB, "artifact:delete")
    limited = Principal(BOB.account_id, "bob", "author", scopes=frozenset({"artifact:view"}))
    assert "scopes include channel:view and, for subchannels, subchannel:view" in told(limited, "channel:view")
