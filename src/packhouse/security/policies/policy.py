"""The rules of a policy as people write them: every field, what may stand in it, and when two policies are equal.

The JSON names are those of the command line's options with underscores. Where several fields are set, a file must pass
all of them; `decide` says in which order they are asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from packhouse.core.errors import PackhouseError

Comparator = Literal["==", "<=", ">=", "<", ">"]
Answer = Literal["allow", "hide"]
Status = Literal["reported", "active", "mitigated", "cleared", "disputed"]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Every field is optional. Lists of names hold names or match specs, with a family if they are for one alone."""

    platform: list[str] = []  #: only these; noarch files that they need come along
    platform_not: list[str] = []
    license: list[str] = []  #: families or SPDX identifiers
    license_not: list[str] = []
    license_exception: list[str] = []  #: names allowed over their licence
    package_created_from: str | None = None  #: YYYY-MM-DD, included
    package_created_to: str | None = None  #: YYYY-MM-DD, included
    only_signed_packages: bool = False
    keep_legacy_packages: bool = False  #: keep `.tar.bz2` besides an equal `.conda`
    package_name: list[str] = []
    include_dependencies: bool = False  #: what `package_name` selects brings what it needs
    exclude_dependencies: bool = False  #: the counterpart: say so outright
    cve_score: float | None = None  #: 0 to 10 with one decimal
    cve_score_comparator: Comparator = "<="  #: describes what is kept
    cve_status: list[Status] = []
    exclude_cve_status: list[Status] = []
    cve_link_status_and_score: Literal["and", "or"] = "and"
    cve_allowlist: list[str] = []  #: not looked at, by any of their names
    exclude_uncurated_cve_packages: bool = False
    settled_vulnerabilities: Literal["count", "ignore"] = "count"  #: whether scores of cleared and mitigated ones count
    exclude_package_name: list[str] = []
    exclude_package_name_exception: list[str] = []
    python_versions: list[str] = []  #: such as 3.11
    install_time_code: Answer = "allow"
    missing_facts: Answer = "allow"  #: of files not fetched yet, for rules that need their bytes
    unknown_vulnerabilities: Answer = "allow"
    malware: Answer = "hide"
    minimum_age_days: int | None = None
    latest_only: bool = False
    whole_closure: bool = False  #: and then everything that can no longer be installed

    @property
    def score(self) -> int | None:
        """The score to compare with, in tenths."""
        return None if self.cve_score is None else round(self.cve_score * 10)


_DEFAULTS = Rules()
#: what holds where no policy is assigned
NO_POLICY = Rules(keep_legacy_packages=True)


def edited(before: Rules, changes: Mapping[str, Any]) -> Rules:
    """Return the rules after an edit: a field that is named replaces its former value; "", [] and null clear it.

    Raises PackhouseError("bad_request") naming the field; what the values mean together is for `checking.check`.
    """
    for name in changes:
        if name not in Rules.__struct_fields__:
            raise PackhouseError(
                "bad_request",
                f"A policy has no field {str(name)[:60]!r}.",
                f"Known are: {', '.join(Rules.__struct_fields__)}.",
            )
    kept = {name: value for name, value in changes.items() if value not in ("", [], None)}
    left = {name: getattr(before, name) for name in Rules.__struct_fields__ if name not in changes}
    return _convert({**left, **kept})


def _convert(values: dict[str, Any]) -> Rules:
    try:
        return msgspec.convert(values, Rules, strict=True)
    except msgspec.ValidationError as error:
        text = str(error)
        field = text.rpartition("$.")[2].rstrip("`").split("[")[0]
        words = _words(get_type_hints(Rules).get(field))
        hint = f"Known are: {', '.join(words)}." if words else ""
        message = f"{field} of the policy cannot be used: {text}."
        raise PackhouseError("bad_request", message, hint, field=field) from error


def _words(kind: Any) -> list[str]:
    """Return the words that a field of this type may hold, if it is about words."""
    inner = get_args(kind)
    return list(inner) if get_origin(kind) is Literal else [word for one in inner for word in _words(one)]


def decode(text: bytes | str) -> Rules:
    """Return stored rules, as `encode` wrote them. Raises PackhouseError("bad_request") for what are none."""
    try:
        return msgspec.json.decode(text, type=Rules)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PackhouseError("bad_request", f"These are not the rules of a policy: {error}.") from error


def encode(rules: Rules) -> bytes:
    """Return the rules as canonical JSON: equal rules, in whatever order their lists are, give equal bytes."""
    one = canonical(rules)
    values = {name: getattr(one, name) for name in Rules.__struct_fields__}
    # not by `omit_defaults`, which knows a default text only when it is the same object
    said = {name: value for name, value in values.items() if value != getattr(_DEFAULTS, name)}
    return msgspec.json.encode(said, order="sorted")


def canonical(rules: Rules) -> Rules:
    """Return the rules in one form: lists sorted, each entry once, and without what has no effect."""
    values = {name: _plain(name, getattr(rules, name)) for name in Rules.__struct_fields__}
    if values["cve_score"] is None:
        values |= {"cve_score_comparator": "<=", "settled_vulnerabilities": "count"}
    if values["cve_score"] is None or not (values["cve_status"] or values["exclude_cve_status"]):
        values["cve_link_status_and_score"] = "and"
    if not values["package_name"]:
        values["include_dependencies"] = False
    if values["install_time_code"] == "allow":
        values["missing_facts"] = "allow"
    return Rules(**values | {"exclude_dependencies": False})


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, list):
        upper = name == "cve_allowlist"
        return sorted({entry.strip().upper() if upper else entry.strip() for entry in value})
    return float(value) if name == "cve_score" and value is not None else value


def digest(rules: Rules) -> bytes:
    """Return the SHA-256 of what the rules mean: policies with equal rules share their verdicts."""
    return hashlib.sha256(encode(rules)).digest()
