"""Policies on the wire: the fields have the names of the command line's options, with underscores.

What comes in is read kindly, since command lines send texts: a list may be one text with commas, a number or a yes a
text. What goes out always has the plain types.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.catalog.policies.progress import Progress
from packhouse.catalog.policies.store import Assigned, PolicyRow
from packhouse.core.clock import to_iso
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Text, Word
from packhouse.doors.api.words import Comparator, Link, PolicyState, Whether
from packhouse.formats import registry
from packhouse.security.policies.checking import refusal
from packhouse.security.policies.policy import NO_POLICY, Rules, decode, encode
from packhouse.security.policies.summary import does_not_apply, summarise, warnings

Entry = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$", max_length=2048)]
Entries = list[Entry] | Text | UnsetType | None
Flag = bool | Word | UnsetType | None
Decimal = float | Word | UnsetType | None
Days = int | Word | UnsetType | None
Day = Word | UnsetType | None


class RulesRequest(Body, kw_only=True):
    """The rules of a policy. "", [] and null clear a field. Lists may also be one text, its entries between commas."""

    platform: Entries = UNSET  #: only these, for example linux-64; noarch files that they need come along
    platform_not: Entries = UNSET
    license: Entries = UNSET  #: families such as GPL3 or BSD, or SPDX identifiers
    license_not: Entries = UNSET
    license_exception: Entries = UNSET  #: names or match specs that are allowed over their licence
    package_created_from: Day = UNSET  #: YYYY-MM-DD, included
    package_created_to: Day = UNSET  #: YYYY-MM-DD, included
    only_signed_packages: Flag = UNSET
    keep_legacy_packages: Flag = UNSET  #: keep `.tar.bz2` beside an equal `.conda`
    package_name: Entries = UNSET  #: only these names or match specs; `python:requests` is for one family alone
    include_dependencies: Flag = UNSET  #: `package_name` brings what it needs
    exclude_dependencies: Flag = UNSET
    cve_score: Decimal = UNSET  #: 0 to 10 with one decimal
    cve_score_comparator: Comparator | UnsetType | None = UNSET  #: describes what is kept
    cve_status: Entries = UNSET  #: every vulnerability of a file must have one of these
    exclude_cve_status: Entries = UNSET
    cve_link_status_and_score: Link | UnsetType | None = UNSET
    cve_allowlist: Entries = UNSET  #: vulnerabilities that are not looked at
    exclude_uncurated_cve_packages: Flag = UNSET
    settled_vulnerabilities: Word | UnsetType | None = UNSET  #: count | ignore: scores of cleared and mitigated ones
    exclude_package_name: Entries = UNSET
    exclude_package_name_exception: Entries = UNSET
    python_versions: Entries = UNSET  #: for example 3.11
    install_time_code: Whether | UnsetType | None = UNSET
    missing_facts: Whether | UnsetType | None = UNSET  #: of files that were not fetched yet
    unknown_vulnerabilities: Whether | UnsetType | None = UNSET
    malware: Whether | UnsetType | None = UNSET
    minimum_age_days: Days = UNSET
    latest_only: Flag = UNSET
    whole_closure: Flag = UNSET  #: and then everything that can no longer be installed


class PolicyRequest(RulesRequest, kw_only=True):
    """A policy to be made, or what shall be otherwise with one: unsent members stay as they are."""

    name: Word | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class NewPolicy(PolicyRequest, kw_only=True):
    """A policy to be made."""

    channel_name: list[Word] | Text | UnsetType | None = UNSET  #: assign it there at once; several are possible


class PolicyEdit(PolicyRequest, kw_only=True):
    """What shall be otherwise with a policy. It may be the policy as it was shown: an old client sends it all back."""

    id: Any = UNSET  #: this and what follows is shown only, and not changed by an edit
    state: Any = UNSET
    channels: Any = UNSET
    channel_count: Any = UNSET
    summary: Any = UNSET
    warnings: Any = UNSET
    created_at: Any = UNSET
    updated_at: Any = UNSET


class PolicyChannel(msgspec.Struct, kw_only=True):
    """A channel to which a policy is assigned."""

    name: str  #: `CHANNEL` or `CHANNEL/SUBCHANNEL`
    state: PolicyState  #: preparing: not obeyed yet; publishing: the index follows; in_effect: both obey
    since: str | None  #: RFC 3339; since when the rules hold that hold now; null: they always did


class PolicyShape(Rules, kw_only=True, frozen=True, omit_defaults=False):
    """A policy."""

    id: str
    name: str
    description: str
    state: PolicyState  #: that of the channel where least of it has come
    channel_count: int  #: channels it is assigned to, as far as the caller may see them, like the list
    channels: list[PolicyChannel]
    summary: list[str]  #: sentences, in the order in which the rules are asked
    warnings: list[str]  #: what may surprise
    created_at: str  #: RFC 3339
    updated_at: str


class PolicyPart(msgspec.Struct):
    """Which policy it is."""

    id: str
    name: str
    description: str


class ProgressPart(msgspec.Struct):
    """How far a policy has come that does not hold yet."""

    files: int  #: to be looked at: those that its rules can hide; for reasons of the channel's own once more
    done: int


class ChannelPolicy(msgspec.Struct, kw_only=True):
    """What holds in a channel."""

    policy: PolicyPart | None  #: null: none is assigned
    state: PolicyState  #: preparing: what held before holds still; unassigned: there is no policy, and nothing changes
    progress: ProgressPart | None  #: while it is being prepared; null: that has not begun, or is over
    since: str | None  #: RFC 3339; since when the rules hold that hold now; null: they always did
    rules: dict[str, Any]  #: the fields that are set
    summary: list[str]  #: sentences, in the order in which the rules are asked
    warnings: list[str]  #: what may surprise
    does_not_apply: dict[str, list[str]]  #: family → the fields that are set, but hide no file of it


def channel_policy(policy: PolicyRow | None, now: Assigned, progress: Progress | None) -> ChannelPolicy:
    """Fill the shape of what holds in a channel, and of how far what is to hold has come."""
    rules = decode(policy.rules) if policy else NO_POLICY
    settled = policy is None and now.state == "in_effect"
    return ChannelPolicy(
        policy=PolicyPart(policy.uuid, policy.name, policy.description) if policy else None,
        state="unassigned" if settled else now.state,
        progress=None if progress is None else ProgressPart(*progress),
        since=to_iso(now.since),
        rules=msgspec.json.decode(encode(rules)) if policy else {},
        summary=summarise(rules),
        warnings=warnings(rules),
        does_not_apply={family: does_not_apply(rules, family) for family in registry.FORMATS} if policy else {},
    )


def policy_shape(
    policy: PolicyRow, assigned: Iterable[Assigned], visible: Collection[str], said: Rules | None = None
) -> PolicyShape:
    """Fill the shape of a policy; `assigned` may be about others, too, and only `visible` paths are shown.

    `said` are the rules as they were sent, with what has no effect and is not kept, to warn of.
    """
    rules = decode(policy.rules)
    here = [one for one in assigned if one.policy_id == policy.id and one.path in visible]
    return PolicyShape(
        **{name: getattr(rules, name) for name in Rules.__struct_fields__},
        id=policy.uuid,
        name=policy.name,
        description=policy.description,
        state=worst(one.state for one in here),
        channel_count=len(here),
        channels=[policy_channel(one) for one in here],
        summary=summarise(rules),
        warnings=warnings(said or rules),
        created_at=to_iso(policy.created_at) or "",
        updated_at=to_iso(policy.updated_at) or "",
    )


def policy_channel(one: Assigned) -> PolicyChannel:
    """Fill the shape of a channel under a policy."""
    return PolicyChannel(name=one.path, state=one.state, since=to_iso(one.since))


def worst(states: Iterable[str]) -> str:
    """Return the state that is farthest from being in effect; `unassigned` where there is none."""
    found = set(states)
    return next((state for state in ("preparing", "publishing", "in_effect") if state in found), "unassigned")


def given_rules(data: RulesRequest) -> dict[str, Any]:
    """Return the fields that a request names, in the types the rules have.

    Raises PackhouseError("bad_request") naming the field.
    """
    sent = {name: getattr(data, name) for name in Rules.__struct_fields__}
    return {name: _read(name, value) for name, value in sent.items() if value is not UNSET}


_LISTS = frozenset(name for name in Rules.__struct_fields__ if isinstance(getattr(Rules(), name), list))
_FLAGS = frozenset(name for name in Rules.__struct_fields__ if isinstance(getattr(Rules(), name), bool))
#: lists of one word each, whose case means nothing
_WORDS = frozenset({"cve_status", "exclude_cve_status"})
#: between the specs of one text: a comma before a version belongs to the spec
_BETWEEN = re.compile(r",(?=\s*(?:[A-Za-z_][\w.-]*:)?[A-Za-z_])")
_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


def _read(name: str, value: Any) -> Any:
    if name in _LISTS:
        return _entries(name, value)
    if not isinstance(value, str) or not value.strip():
        return value.strip() if isinstance(value, str) else value
    text = value.strip()
    if name in _FLAGS:
        return _flag(name, text)
    if name in ("cve_score", "minimum_age_days"):
        return _number(name, text)
    return text.lower() if name in ("cve_link_status_and_score", "malware") else text


def entries_of(value: list[str] | str | None) -> list[str]:
    """Return the entries of a list, which may also be one text with commas; empty ones are left out."""
    if isinstance(value, str):
        value = _BETWEEN.split(value) if "[" not in value else [value]
    return [entry.strip() for entry in value or () if entry.strip()]


def _entries(name: str, value: list[str] | str | None) -> list[str]:
    entries = entries_of(value)
    if isinstance(value, str) and name == "python_versions":
        entries = entries_of(value.split(","))
    return [entry.lower() for entry in entries] if name in _WORDS else entries


def _flag(name: str, text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise refusal(name, f"{text[:40]!r} is neither true nor false")
    return text.lower() in _TRUE


def _number(name: str, text: str) -> float | int:
    try:
        if not text.isascii() or "_" in text:  # Python reads "1_0" as 10
            raise ValueError
        return float(text) if name == "cve_score" else int(text)
    except ValueError:
        raise refusal(name, f"{text[:40]!r} is no number") from None


def names_of(data: NewPolicy) -> list[str]:
    """Return the channels that a new policy is to be assigned to."""
    given = data.channel_name
    if given is UNSET or given is None:
        return []
    named = given.split(",") if isinstance(given, str) else given
    return [name.strip() for name in named if name.strip()]


def required_name(data: PolicyRequest) -> str:
    """Return the name of a policy to be made. Raises PackhouseError("bad_request") without one."""
    if data.name is UNSET:
        raise PackhouseError("bad_request", "The body lacks the member `name`.", "Send it.", field="name")
    return data.name
