"""Whether the fields of a policy make sense, alone and together."""

from __future__ import annotations

import re
from collections.abc import Callable

from packhouse.core.clock import DAY, from_iso
from packhouse.core.errors import PackhouseError
from packhouse.formats.conda.filename import is_subdir
from packhouse.formats.licenses import is_identifier
from packhouse.security.policies.policy import Rules
from packhouse.security.policies.rules.license import family
from packhouse.security.policies.specs import check_possible, check_spec, most_alike

#: entries of one list, and characters of one entry
MOST, LONGEST = 10_000, 2048
#: entries of one list that say more than a name, of the same package: each is asked about all versions of it
MOST_OF_NAME = 100
#: characters of a licence: none is longer
LONGEST_LICENSE = 128
LONGEST_AGE = 3650
_CVE = re.compile(r"[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9._:-]{1,100}")
_PYTHON = re.compile(r"\d{1,2}\.\d{1,3}")
_NAMES = ("package_name", "exclude_package_name", "exclude_package_name_exception", "license_exception")
_LISTS = tuple(name for name in Rules.__struct_fields__ if isinstance(getattr(Rules(), name), list))


def check(rules: Rules) -> Rules:
    """Return the rules if they make sense. Raises PackhouseError("bad_request") naming the first field at fault."""
    for name in _LISTS:
        _check_sizes(name, getattr(rules, name))
    for name in ("platform", "platform_not"):
        _each(name, getattr(rules, name), is_subdir, "is no platform; write for example linux-64 or noarch")
    for name in ("license", "license_not"):
        _try_each(name, getattr(rules, name), _check_license)
    for name in _NAMES:
        _try_each(name, getattr(rules, name), check_spec)
        _check_alike(name, getattr(rules, name))
    _each("cve_allowlist", rules.cve_allowlist, _matches(_CVE), "is no identifier such as CVE-2021-44228")
    _each("python_versions", rules.python_versions, _matches(_PYTHON), "is no version such as 3.11")
    _check_numbers(rules)
    _check_together(rules)
    window(rules)
    return rules


def check_new(rules: Rules) -> None:
    """PackhouseError("bad_request") for a spec that can select nothing: a rule that does nothing by a slip of the pen.

    Asked only of what is written now, since what was stored before must go on being read.
    """
    for name in _NAMES:
        _try_each(name, getattr(rules, name), check_possible)


def window(rules: Rules) -> tuple[int | None, int | None]:
    """Return the window of dates in microseconds, its end exclusive. Raises PackhouseError("bad_request")."""
    start = _date("package_created_from", rules.package_created_from)
    end = _date("package_created_to", rules.package_created_to)
    if start is not None and end is not None and start > end:
        raise refusal("package_created_from", "it is later than package_created_to")
    return start, None if end is None else end + DAY


def refusal(field: str, why: str) -> PackhouseError:
    """Return the refusal of a field."""
    return PackhouseError("bad_request", f"{field} of the policy cannot be used: {why}.", field=field)


def _check_sizes(name: str, entries: list[str]) -> None:
    if len(entries) > MOST:
        raise refusal(name, f"it has {len(entries):,} entries; at most {MOST:,} are allowed")
    longest = LONGEST_LICENSE if name in ("license", "license_not") else LONGEST
    for entry in entries:
        if len(entry) > longest:
            raise refusal(name, f"{entry[:40]!r}… has {len(entry):,} characters; at most {longest:,} are allowed")


def _check_alike(name: str, entries: list[str]) -> None:
    package, count = most_alike(entries) if len(entries) > MOST_OF_NAME else ("", 0)
    if count > MOST_OF_NAME:
        about = "patterns of names" if package == "*" else package[:80]
        raise refusal(
            name, f"{count:,} entries with a version or more are about {about}; at most {MOST_OF_NAME} may be"
        )


def _each(name: str, entries: list[str], test: Callable[[str], bool], why: str) -> None:
    for entry in entries:
        if not test(entry):
            raise refusal(name, f"{entry[:80]!r} {why}")


def _try_each(name: str, entries: list[str], check: Callable[[str], object]) -> None:
    for entry in entries:
        try:
            check(entry)
        except PackhouseError as error:
            raise refusal(name, str(error).rstrip(".")) from error


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _check_license(word: str) -> None:
    if not is_identifier(word.strip()):
        family(word)


def _check_numbers(rules: Rules) -> None:
    score = rules.cve_score
    if score is not None and not (0 <= score <= 10 and abs(score * 10 - round(score * 10)) < 1e-6):
        raise refusal("cve_score", f"{score} is not a number from 0 to 10 with one decimal")
    age = rules.minimum_age_days
    if age is not None and not 0 <= age <= LONGEST_AGE:
        raise refusal("minimum_age_days", f"{age} is not a number of days from 0 to {LONGEST_AGE}")


def _check_together(rules: Rules) -> None:
    for name, opposite in (
        ("platform", "platform_not"),
        ("license", "license_not"),
        ("cve_status", "exclude_cve_status"),
    ):
        both = {entry.lower() for entry in getattr(rules, name)} & {entry.lower() for entry in getattr(rules, opposite)}
        if both:
            raise refusal(name, f"{min(both)} stands in {opposite}, too")
    if rules.include_dependencies and rules.exclude_dependencies:
        raise refusal("include_dependencies", "exclude_dependencies says the opposite")
    if rules.exclude_package_name_exception and not rules.exclude_package_name:
        raise refusal(
            "exclude_package_name_exception", "there is no exclude_package_name to which it were an exception"
        )


def _date(name: str, text: str | None) -> int | None:
    if not text:
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return from_iso(text)
    except ValueError:
        raise refusal(name, f"{text[:40]!r} is not a date; write YYYY-MM-DD") from None
