"""Judgements of vulnerabilities in files: who said what, and whose word counts.

A feed only *reports* that a vulnerability affects a version. A *statement* is somebody's judgement of that. It is about
the files a match spec selects, or about one file, and not about what a feed said on some day: so a decision outlives
updates of feeds, and holds for the next version in its range.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from packhouse.core.clock import EARLIEST, LATEST
from packhouse.core.errors import PackhouseError
from packhouse.formats import registry
from packhouse.formats.selection import check_selection
from packhouse.security.vulnerabilities.advisory import Advisory, Status

#: what somebody can judge; without a judgement a finding is "reported"
Judged = Literal["active", "cleared", "mitigated", "disputed"]
#: statuses from the worst on
SEVERITY: tuple[Status, ...] = ("active", "reported", "disputed", "mitigated", "cleared")

MAX_NOTE, MAX_SPEC, MAX_TEXT = 10_000, 1024, 320
_ORIGIN = re.compile(r"user|builder|feed:[A-Za-z0-9._-]{1,64}")
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: the brackets at the end of a spec, with what we know of a file and nothing else
_BRACKETS = re.compile(
    r"""\[\s*((version|build|build_number|subdir)\s*=\s*("[^"]*"|'[^']*'|[^\s,"'\]]+)\s*(,\s*|(?=\])))+\]$"""
)
_MOST_PRECEDENT = {"user": 2, "feed": 1, "builder": 0}


class Statement(msgspec.Struct, frozen=True):
    """One judgement of one vulnerability in some files of one package."""

    vulnerability: str  #: a key or an alias of it, for example "CVE-2024-1234"
    family: str
    name: str  #: of the package, normalised
    status: Judged
    spec: str = ""  #: a match spec's version and build, for example ">=3.2,<4 py39_1"; empty: every file
    sha256: str = ""  #: of the one file it is about, in lower case; then there is no spec
    note: str = ""
    author: str = ""
    at: int = 0  #: microseconds
    origin: str = "user"  #: "user", "feed:<name>" or "builder" (info/security.json)


class File(NamedTuple):
    """What a statement may ask of a file."""

    version: str
    build: str = ""
    build_number: int = 0
    sha256: str = ""
    partition: str = ""  #: conda: the subdir


Judgement = tuple[Status, Statement | None]


class Judgements:
    """The statements about one package, compiled once, to be asked about many of its files and findings.

    A statement counts before another when its origin does (users, then feeds, then the builder), then when it is about
    one file, then when it is the later one. Of two of the same time the worse status counts, so that order is total.
    """

    def __init__(self, family: str, name: str, statements: Iterable[Statement]) -> None:
        """Take the statements of that package out of `statements`. Raises what `check` does for an unusable spec."""
        self._name = name
        self._by_vulnerability: dict[str, list[Statement]] = {}
        self._matchers: dict[str, Any] = {}
        for one in sorted(statements, key=_precedence, reverse=True):
            if (one.family, one.name) == (family, name):
                self._by_vulnerability.setdefault(one.vulnerability.casefold(), []).append(one)
                if not one.sha256 and one.spec not in self._matchers:
                    self._matchers[one.spec] = _matcher(one) if one.spec else None

    def status_of(self, vulnerability: str, aliases: Iterable[str], file: File) -> Judgement:
        """Return the status of a finding in one file, and the statement that says so (None: nobody judged)."""
        return self.statuses(vulnerability, aliases, [file])[0]

    def statuses(
        self, vulnerability: str, aliases: Iterable[str], files: Sequence[File], *, malware: bool = False
    ) -> list[Judgement]:
        """Return what `status_of` does for each file, in order; each spec is asked once per distinct version.

        With `malware`, what the builder says is not heard: who builds malware would clear it.
        """
        found: list[Judgement] = [("reported", None)] * len(files)
        undecided = list(range(len(files)))
        for one in self._about({vulnerability, *aliases}):
            if not undecided:
                break
            if malware and one.origin == "builder":
                continue
            hit = self._selected(one, files, undecided)
            for index in hit:
                found[index] = (one.status, one)
            undecided = [index for index in undecided if index not in hit]
        return found

    def _about(self, names: set[str]) -> list[Statement]:
        """Return the statements about a vulnerability under any of its names, the one that counts most first."""
        lists = [self._by_vulnerability.get(name, []) for name in {name.casefold() for name in names}]
        return sorted((one for found in lists for one in found), key=_precedence, reverse=True)

    def _selected(self, one: Statement, files: Sequence[File], indices: Iterable[int]) -> set[int]:
        if one.sha256:
            return {index for index in indices if files[index].sha256 == one.sha256}
        matcher = self._matchers[one.spec]
        if matcher is None:
            return set(indices)
        among = list(indices)
        versions = {v for v in {files[index].version for index in among} if matcher.matches_version(v)}
        return {index for index in among if files[index].version in versions and self._matches(matcher, files[index])}

    def _matches(self, matcher: Any, file: File) -> bool:
        found: bool = matcher.matches(self._name, file.version, file.build, file.build_number, subdir=file.partition)
        return found


def most_severe(statuses: Iterable[Status]) -> Status | None:
    """Return the worst of the statuses, None without any."""
    return min(statuses, key=SEVERITY.index, default=None)


def statements_of(advisory: Advisory, feed: str, at: int) -> list[Statement]:
    """Return what a curated feed says in an advisory, for each vulnerability that is about.

    "reported" is no judgement and left out. Where it names a file and a spec, the file counts. `at` is the time of
    statements of an advisory that does not say when it was modified. They are not checked yet: see `check`.
    """
    return [
        Statement(
            key,
            said.family,
            said.name,
            said.status,
            spec="" if said.sha256 else said.spec,
            sha256=said.sha256.lower(),
            note=said.note,
            author=feed,
            at=advisory.modified_at or at,
            origin=f"feed:{feed}",
        )
        for said in advisory.said
        if said.status != "reported"
        for key in advisory.keys
    ]


def check(statement: Statement) -> Statement:
    """Return the statement when it can be stored and obeyed.

    Raises PackhouseError("bad_request") that names the field, "unsupported_type" for a family we do not know.
    """
    registry.get(statement.family)
    for field, text in (("cve", statement.vulnerability), ("name", statement.name), ("author", statement.author)):
        if len(text) > MAX_TEXT or not text.isprintable() or (not text.strip() and field != "author"):
            raise _refusal(field, f"it must be printable text of at most {MAX_TEXT} characters")
    if len(statement.note) > MAX_NOTE or _NO_TEXT.search(statement.note):
        raise _refusal("note", f"it must be text of at most {MAX_NOTE} characters")
    if statement.status not in get_args(Judged):
        raise _refusal("status", f"it must be one of {', '.join(get_args(Judged))}")
    if not _ORIGIN.fullmatch(statement.origin):
        raise _refusal("origin", "it must be user, builder or feed:<name>")
    if not EARLIEST <= statement.at <= LATEST:
        raise _refusal("at", "it must be a time of the years 1970 to 9999")
    if statement.sha256 and (statement.spec or not _SHA256.fullmatch(statement.sha256)):
        raise _refusal("sha256", "it must be 64 lower-case hex digits, and then there is no `spec`")
    if statement.spec:
        _matcher(statement)
        check_selection(statement.family, statement.name, statement.spec)
    return statement


def _precedence(one: Statement) -> tuple[Any, ...]:
    origin = _MOST_PRECEDENT[one.origin.partition(":")[0]]
    # what follows the time only makes the order total, whatever order the rows come in
    rest = (-SEVERITY.index(one.status), one.origin, one.spec, one.sha256, one.vulnerability, one.author, one.note)
    return (origin, bool(one.sha256), one.at, *rest)


def _matcher(one: Statement) -> Any:
    """Compile the spec of a statement. PackhouseError("bad_request") when it is none, or about another package."""
    if len(one.spec) > MAX_SPEC:
        raise _refusal("spec", f"it is longer than {MAX_SPEC} characters")
    if one.spec.rstrip().endswith("]") and not _BRACKETS.search(one.spec.rstrip()):
        raise _refusal("spec", "its brackets may ask for version, build, build_number and subdir")
    try:
        matcher = registry.get(one.family).matcher(f"{one.name} {one.spec}")
    except PackhouseError as error:
        raise PackhouseError(error.code, f"The field `spec` cannot be used. {error.message}", error.hint) from None
    if matcher.name != one.name:
        raise _refusal("spec", f"it must select files of {one.name} only")
    return matcher


def _refusal(field: str, why: str) -> PackhouseError:
    hint = "Write for example spec '>=3.2,<4 py39_*', or the SHA-256 of one file."
    hint = hint if field in ("spec", "sha256") else ""
    return PackhouseError("bad_request", f"The field `{field}` of the statement cannot be used: {why}.", hint)
