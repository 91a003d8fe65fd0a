"""What a mirror takes of its source, as users and the existing command lines write it: the `filters` of a mirror."""

from __future__ import annotations

import msgspec

from packhouse.core.clock import DAY, from_iso
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry

#: longest window of dates
MAX_WINDOW = 366 * DAY
_MOST = 10_000
#: filters that make no sense for some formats
_OF_SOME_FORMATS = frozenset(("subdirs", "projects", "include_licenses", "exclude_licenses", "only_signed"))


class Filters(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Every filter is optional; what passes all of them is mirrored."""

    subdirs: list[str] = []
    projects: list[str] = []  #: for Python sources
    include_licenses: list[str] = []  #: a leading `-` excludes; kept as `exclude_licenses`
    exclude_licenses: list[str] = []
    only_specs: list[str] = []
    exclude_specs: list[str] = []
    include_specs: list[str] = []
    date_from: str | None = None  #: YYYY-MM-DD, included
    date_to: str | None = None  #: YYYY-MM-DD, included
    cve_score_threshold: float | None = None  #: 0 to 10 with one decimal: files with that score or more stay out
    exclude_non_curated_cve: bool = False  #: files with a vulnerability that nobody has judged stay out
    only_signed: bool = False

    @property
    def asks_vulnerabilities(self) -> bool:
        """Whether what is selected changes with what is known of vulnerabilities."""
        return self.cve_score_threshold is not None or self.exclude_non_curated_cve

    @property
    def window(self) -> tuple[int | None, int | None]:
        """The window of dates in microseconds, its end exclusive. Raises PackhouseError("bad_request")."""
        start, end = _date(self.date_from), _date(self.date_to)
        return start, None if end is None else end + DAY


def check_filters(filters: Filters, family: str) -> Filters:
    """Return the filters of a mirror of a family in one form, if they make sense together.

    Raises PackhouseError("bad_request") naming the first fault.
    """
    format = registry.get(family)
    filters = _signs_resolved(filters)
    filters = msgspec.structs.replace(filters, projects=[format.normalise(name) for name in filters.projects])
    lists = ("include_licenses", "exclude_licenses", "only_specs", "exclude_specs", "include_specs")
    for name in ("subdirs", "projects", *lists):
        if len(getattr(filters, name)) > _MOST:
            raise _refusal(f"{name} has more than {_MOST:,} entries.", "Use patterns, or several mirrors.")
    for subdir in filters.subdirs:
        if not format.is_partition(subdir):
            raise _refusal(f"{subdir[:40]!r} is not a subdir.", "Write for example noarch or linux-64.")
    if filters.only_specs and (filters.exclude_specs or filters.include_specs):
        raise _refusal("only_specs cannot be combined with exclude_specs or include_specs.", "Choose one of the two.")
    _check_window(filters)
    for name in _OF_SOME_FORMATS - format.mirror_filters:
        if getattr(filters, name) not in ([], None, False):
            raise _refusal(
                f"`{name}` is no filter of {family} mirrors.", f"Use {', '.join(sorted(format.mirror_filters))}."
            )
    _check_score(filters.cve_score_threshold)
    return filters


def _check_score(score: float | None) -> None:
    if score is not None and not (0 <= score <= 10 and abs(score * 10 - round(score * 10)) < 1e-6):
        raise _refusal(f"cve_score_threshold is {score}.", "Write a number from 0 to 10 with one decimal.")


def _signs_resolved(filters: Filters) -> Filters:
    """Return the filters with licences to exclude where they belong: `-none` among those to include excludes it."""
    for word in filters.exclude_licenses:
        if _is_negated(word):
            raise _refusal(
                f"exclude_licenses excludes already, so {word[:40]!r} would mean its opposite.",
                "Leave out the `-`; or write it into include_licenses, where it excludes.",
            )
    included = [word for word in filters.include_licenses if not _is_negated(word)]
    excluded = [word.strip()[1:] for word in filters.include_licenses if _is_negated(word)]
    return msgspec.structs.replace(
        filters, include_licenses=included, exclude_licenses=[*filters.exclude_licenses, *excluded]
    )


def _is_negated(word: str) -> bool:
    return word.lstrip().startswith("-")


def _check_window(filters: Filters) -> None:
    start, end = filters.window
    if start is None or end is None:
        return
    if start >= end - DAY:
        raise _refusal("date_from must be earlier than date_to.", "Exchange them.")
    if end - DAY - start > MAX_WINDOW:
        raise _refusal("The dates are more than a year apart.", "Choose a window of at most one year.")


def _date(text: str | None) -> int | None:
    if not text:
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return from_iso(text)
    except ValueError:
        raise _refusal(f"{text[:40]!r} is not a date.", "Write YYYY-MM-DD.") from None


def _refusal(message: str, hint: str) -> PackhouseError:
    return PackhouseError("bad_request", message, hint)
