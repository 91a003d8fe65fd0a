"""What may be seen in a channel, said a second time: slowly, file by file, from the words of the manual alone.

It knows nothing of the engine: no columns, no specs but those that `Spec` writes, no licences but those it lists. Its
order is that of the manual: every rule must let a file pass; then what is needed, what is newest, what is installable;
and at each of these steps a waiver lets pass what it names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

DAY = 86_400_000_000
#: licence → family; expressions are given as (any | all, parts)
FAMILIES: dict[str, str] = {
    "MIT": "MIT", "BSD-3-Clause": "BSD", "GPL-3.0-only": "GPL3", "Apache-2.0": "APACHE", "LGPL-2.1-only": "LGPL",
    "": "None",
}  # fmt: skip
CHOICES = {
    "MIT OR GPL-3.0-only": (any, ("MIT", "GPL-3.0-only")),
    "BSD-3-Clause AND LGPL-2.1-only": (all, ("BSD-3-Clause", "LGPL-2.1-only")),
}
GRAVE = {"malware", "quarantine", "reserved_name"}
COMPARE = {
    "==": lambda a, b: a == b, "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}  # fmt: skip


def numbers(version: str) -> tuple[int, ...]:
    """Return a version of numbers, as versions compare."""
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True)
class Spec:
    """A name or pattern, perhaps a bound of its version, perhaps a build."""

    name: str
    sign: str = ""
    version: str = ""
    build: str = ""

    def __str__(self) -> str:
        if self.build:
            return f"{self.name} {self.version} {self.build}"
        return f"{self.name} {self.sign}{self.version}".strip()

    def selects(self, file: File) -> bool:
        """Say whether it is about a file."""
        if not fnmatchcase(file.name, self.name):
            return False
        if self.build:
            return file.version == self.version and file.build == self.build
        return not self.version or COMPARE[self.sign](numbers(file.version), numbers(self.version))


@dataclass(frozen=True)
class Flaw:
    """A vulnerability. The score is in tenths."""

    key: str
    score: int | None
    aliases: tuple[str, ...] = ()
    malware: bool = False
    exploited: bool = False


@dataclass
class File:
    """A file of a channel. Times are microseconds."""

    name: str
    version: str
    build: str
    subdir: str
    legacy: bool = False
    license: str = ""
    published: int | None = None
    first_seen: int | None = None
    python: tuple[str, str] | None = None  #: from, and below
    depends: tuple[Spec, ...] = ()
    mirrored: bool = False
    held: bool = True
    install_code: bool = False
    known: bool = True  #: to advisories
    quarantined: bool = False
    flaws: list[tuple[Flaw, str]] = field(default_factory=list)

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.build}.{'tar.bz2' if self.legacy else 'conda'}"

    @property
    def ckey(self) -> str:
        return f"{self.subdir}/{self.filename}"


@dataclass(frozen=True)
class Waived:
    """A waiver that has not ended."""

    spec: Spec
    rules: tuple[str, ...] = ()
    cves: tuple[str, ...] = ()


@dataclass
class Case:
    """A channel: its files, the fields of its policy (None: it has none), and what else holds in it."""

    files: Sequence[File]
    fields: dict[str, Any] | None
    now: int
    reserved: Collection[str] = ()  #: patterns
    waivers: Sequence[Waived] = ()
    specs: dict[str, Spec] = field(default_factory=dict)  #: as the fields write them

    def get(self, name: str) -> Any:
        """Return a field of the policy, or nothing."""
        return (self.fields or {}).get(name)

    def any_of(self, field_name: str, file: File) -> bool:
        """Say whether a field's specs select a file."""
        return any(self.specs[text].selects(file) for text in self.get(field_name) or [])


def allowed(case: Case) -> set[str]:
    """Return the files that may be seen, by ckey."""
    first = [file for file in case.files if not _against(case, file, set(_local(case, file)))]
    needed = _needed(case, first)
    second = [file for file in case.files if not _against(case, file, _with_needs(case, file, needed))]
    newest = _newest(second)

    def third(file: File) -> set[str]:
        keys = _with_needs(case, file, needed)
        if case.get("latest_only") and newest.get((file.subdir, file.name)) != numbers(file.version):
            keys.add("latest_only")
        return keys

    left = [file for file in case.files if not _against(case, file, third(file))]
    if not case.get("whole_closure"):
        return {file.ckey for file in left}
    broken: set[str] = set()
    while True:
        more = {file.ckey for file in left if file.ckey not in broken and _lost(case, file, left)}
        if not more:
            return {file.ckey for file in left}
        broken |= more
        left = [
            file
            for file in case.files
            if not _against(case, file, third(file) | ({"whole_closure"} if file.ckey in broken else set()))
        ]


def _against(case: Case, file: File, keys: set[str]) -> set[str]:
    """Return which rules hide a file, of those that would, once waivers have been asked."""
    mine = [one for one in case.waivers if one.spec.selects(file)]
    spared = {cve for one in mine for cve in one.cves}
    left = keys
    if spared:
        other = [(flaw, word) for flaw, word in file.flaws if not spared & {flaw.key, *flaw.aliases}]
        again = File(**{**file.__dict__, "flaws": other})
        left = {key for key in keys if key not in ("cve", "malware") or key in _local(case, again)}
    return {key for key in left if not any(_lifts(one, key) for one in mine)}


def _lifts(waived: Waived, key: str) -> bool:
    if waived.rules:
        return key in waived.rules
    return not waived.cves and key not in GRAVE


def _local(case: Case, file: File) -> list[str]:
    """Return the rules that hide a file whatever is newest, needed or installable."""
    tests = _ALWAYS if case.fields is None else _ALWAYS | _RULES
    return [key for key, hides in tests.items() if hides(case, file)]


def _is_malware(case: Case, file: File) -> bool:
    found = any(flaw.malware and word != "cleared" for flaw, word in file.flaws)
    return case.get("malware") != "allow" and found


def _is_reserved(case: Case, file: File) -> bool:
    own = {other.name for other in case.files if not other.mirrored}
    return file.mirrored and (file.name in own or any(fnmatchcase(file.name, pattern) for pattern in case.reserved))


def _is_elsewhere(case: Case, file: File) -> bool:
    wanted, unwanted = case.get("platform") or [], case.get("platform_not") or []
    comes_along = file.subdir == "noarch" and _adds_noarch(case)
    return file.subdir in unwanted or bool(wanted and file.subdir not in wanted and not comes_along)


def _is_superseded(case: Case, file: File) -> bool:
    twins = any(_is_twin(file, other) for other in case.files)
    return file.legacy and not case.get("keep_legacy_packages") and twins


def _is_unnamed(case: Case, file: File) -> bool:
    alone = case.get("package_name") and not case.get("include_dependencies")
    return bool(alone) and not case.any_of("package_name", file)


def _is_excluded(case: Case, file: File) -> bool:
    return case.any_of("exclude_package_name", file) and not case.any_of("exclude_package_name_exception", file)


def _runs_code(case: Case, file: File) -> bool:
    missing = not file.held and case.get("missing_facts") == "hide"
    return case.get("install_time_code") == "hide" and (missing or (file.held and file.install_code))


def _adds_noarch(case: Case) -> bool:
    named = [*(case.get("platform") or []), *(case.get("platform_not") or [])]
    return bool(case.get("platform")) and "noarch" not in named


def _may_be_licensed(case: Case, file: File) -> bool:
    def family_may(license: str) -> bool:
        family, included = FAMILIES[license], case.get("license") or []
        return family not in (case.get("license_not") or []) and (not included or family in included)

    nothing_said = not case.get("license") and not case.get("license_not")
    if nothing_said or case.any_of("license_exception", file):
        return True
    if file.license in CHOICES:
        how, parts = CHOICES[file.license]
        return how(family_may(part) for part in parts)
    return family_may(file.license)


def _outside(case: Case, file: File) -> bool:
    at = -1 if file.published is None else file.published
    start, end = case.get("package_created_from"), case.get("package_created_to")
    return bool((start and at < _date(start)) or (end and at >= _date(end) + DAY))


def _date(text: str) -> int:
    from datetime import UTC, datetime

    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def _is_twin(file: File, other: File) -> bool:
    same = (other.name, other.version, other.build, other.subdir) == (file.name, file.version, file.build, file.subdir)
    return same and not other.legacy


def _is_vulnerable(case: Case, file: File) -> bool:
    """Say whether the rules about vulnerabilities keep a file out (step 7 of the order)."""
    listed = set(case.get("cve_allowlist") or [])
    found = [(flaw, word) for flaw, word in file.flaws if not flaw.malware and not listed & {flaw.key, *flaw.aliases}]
    if case.get("exclude_uncurated_cve_packages") and any(word == "reported" for _, word in found):
        return True
    score, sign = case.get("cve_score"), case.get("cve_score_comparator") or "<="
    status, exclude = case.get("cve_status") or [], case.get("exclude_cve_status") or []
    wants_vulnerable = bool(score) and sign in (">", ">=", "==")
    if not found:
        return wants_vulnerable
    counted = found
    if case.get("settled_vulnerabilities") == "ignore":
        counted = [(flaw, word) for flaw, word in found if word not in ("mitigated", "cleared")]
    scores = [flaw.score for flaw, _ in counted if flaw.score is not None]
    score_ok = COMPARE[sign](max(scores), round(score * 10)) if scores and score is not None else not wants_vulnerable
    if case.get("unknown_vulnerabilities") == "hide" and any(flaw.score is None for flaw, _ in counted):
        score_ok = False
    status_ok = all((not status or word in status) and word not in exclude for _, word in found)
    if score is None:
        return not status_ok
    if not status and not exclude:
        return not score_ok
    if case.get("cve_link_status_and_score") == "or":
        return not (score_ok or status_ok)
    return not (score_ok and status_ok)


def _suits(case: Case, file: File) -> bool:
    if file.python is None:
        return True
    start, end = numbers(file.python[0]), numbers(file.python[1])
    return any(start <= (*numbers(version), 99) < end for version in case.get("python_versions"))


def _is_young(case: Case, file: File) -> bool:
    since = file.published if file.first_seen is None else file.first_seen
    if not file.mirrored or since is None or since <= case.now - case.get("minimum_age_days") * DAY:
        return False
    return not _fixes_exploited(case, file)


def _fixes_exploited(case: Case, file: File) -> bool:
    """Say whether the version just before it has a known-exploited vulnerability that it has not."""
    same = [other for other in case.files if other.name == file.name]
    older = [numbers(other.version) for other in same if numbers(other.version) < numbers(file.version)]
    if not older:
        return False

    def exploited(version: tuple[int, ...]) -> set[str]:
        return {
            flaw.key
            for other in same
            if numbers(other.version) == version
            for flaw, word in other.flaws
            if flaw.exploited and word not in ("mitigated", "cleared")
        }

    return bool(exploited(max(older)) - exploited(numbers(file.version)))


def _with_needs(case: Case, file: File, needed: set[str]) -> set[str]:
    keys = set(_local(case, file))
    if _adds_noarch(case) and file.subdir == "noarch" and file.ckey not in needed:
        keys.add("platform")
    if case.get("package_name") and case.get("include_dependencies"):
        keys.discard("package_name")
        if not case.any_of("package_name", file) and file.ckey not in needed:
            keys.add("package_name")
    return keys


def _needed(case: Case, first: Sequence[File]) -> set[str]:
    """Return what the selected files need, directly or not, and they themselves."""
    if case.get("package_name"):
        reached = [file for file in case.files if _may_be_needed(case, file) and case.any_of("package_name", file)]
    else:
        reached = [file for file in first if file.subdir != "noarch"]
    found = {file.ckey for file in reached}
    while reached:
        user = reached.pop()
        for spec in user.depends:
            for file in case.files:
                if file.ckey not in found and _serves(file, user, spec) and _may_be_needed(case, file):
                    found.add(file.ckey)
                    reached.append(file)
    return found


def _may_be_needed(case: Case, file: File) -> bool:
    return not _against(case, file, set(_local(case, file)) - {"package_name"})


def _serves(file: File, user: File, spec: Spec) -> bool:
    """Say whether a file can be what a user's dependency asks for: of its own platform, or of any."""
    return spec.selects(file) and (user.subdir == "noarch" or file.subdir in (user.subdir, "noarch"))


def _newest(files: Sequence[File]) -> dict[tuple[str, str], tuple[int, ...]]:
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    for file in files:
        place = (file.subdir, file.name)
        found[place] = max(found.get(place, ()), numbers(file.version))
    return found


def _lost(case: Case, file: File, left: Sequence[File]) -> bool:
    """Say whether a dependency of a file was here, and nothing that is left satisfies it."""
    return any(
        any(_serves(other, file, spec) for other in case.files)
        and not any(_serves(other, file, spec) for other in left)
        for spec in file.depends
    )


_ALWAYS: dict[str, Callable[[Case, File], bool]] = {
    "malware": _is_malware,
    "quarantine": lambda case, file: file.quarantined,
    "reserved_name": _is_reserved,
}
_RULES: dict[str, Callable[[Case, File], bool]] = {
    "platform": _is_elsewhere,
    "license": lambda case, file: not _may_be_licensed(case, file),
    "package_created": _outside,
    "only_signed_packages": lambda case, file: bool(case.get("only_signed_packages")),
    "legacy_packages": _is_superseded,
    "package_name": _is_unnamed,
    "cve": _is_vulnerable,
    "exclude_package_name": _is_excluded,
    "python_versions": lambda case, file: bool(case.get("python_versions")) and not _suits(case, file),
    "install_time_code": _runs_code,
    "unknown_vulnerabilities": lambda case, file: case.get("unknown_vulnerabilities") == "hide" and not file.known,
    "minimum_age": lambda case, file: bool(case.get("minimum_age_days")) and _is_young(case, file),
}
