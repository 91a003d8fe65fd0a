"""Random channels and policies, the same for the same seed: what `tests.kit.oracle` and the product both judge."""

from __future__ import annotations

import random
from typing import Any

from tests.kit.oracle import CHOICES, DAY, FAMILIES, Case, File, Flaw, Spec, Waived

#: packages that depend on Python, so that advisories of PyPI know them, and one that does not
NAMES = ("alfa", "bravo", "charlie", "acme-core", "cshared")
KNOWN = NAMES[:4]
VERSIONS = ("1.0", "1.5", "2.0", "3.0")
BUILDS = ("0", "b_1")
SUBDIRS = ("noarch", "linux-64", "osx-64")
LICENSES = (*FAMILIES, *CHOICES)
PYTHONS = (("3.8", "4"), ("3.9", "3.12"), ("3.12", "4"))
DATES = ("2023-01-01", "2024-01-01", "2024-06-01", "2025-01-01")
STATUSES = ("reported", "active", "mitigated", "cleared", "disputed")
FLAWS = (
    Flaw("CVE-2024-0001", 98, ("PYSEC-1",), exploited=True),
    Flaw("CVE-2024-0002", 75, ("PYSEC-2",)),
    Flaw("CVE-2024-0003", 18, ("PYSEC-3",)),
    Flaw("CVE-2024-0004", None, ("PYSEC-4",)),
    Flaw("MAL-2024-5", None, (), malware=True),
)
RULES = ("cve", "license", "minimum_age", "latest_only", "whole_closure", "malware", "package_name", "platform")


class Chance:
    """Draws from a seed. `specs` remembers what the texts of the specs it drew mean."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.specs: dict[str, Spec] = {}

    def spec(self, names: tuple[str, ...] = (*NAMES, "acme-*", "a*")) -> Spec:
        """Draw a name, often with a bound, rarely with a build."""
        rng, name = self.rng, self.rng.choice(names)
        if rng.random() < 0.4:
            return self._kept(Spec(name))
        if rng.random() < 0.2 and "*" not in name:
            return self._kept(Spec(name, "", rng.choice(VERSIONS), rng.choice(BUILDS)))
        return self._kept(Spec(name, rng.choice(("<", "<=", ">=", ">")), rng.choice(VERSIONS)))

    def _kept(self, spec: Spec) -> Spec:
        self.specs[str(spec)] = spec
        return spec

    def some(self, among: tuple[Any, ...], most: int = 2) -> list[Any]:
        """Draw one or some different ones."""
        return self.rng.sample(among, self.rng.randint(1, min(most, len(among))))

    def file(self) -> File:
        """Draw what a file says of itself."""
        rng, name = self.rng, self.rng.choice(NAMES)
        return File(
            name,
            rng.choice(VERSIONS),
            rng.choice(BUILDS),
            rng.choice(SUBDIRS),
            legacy=rng.random() < 0.2,
            license=rng.choice(LICENSES),
            published=rng.choice((None, 1_672_617_600, 1_704_153_600, 1_718_200_000, 1_730_000_000)),
            python=rng.choice(PYTHONS) if name in KNOWN else None,
            depends=tuple(self.spec(NAMES) for _ in range(rng.choice((0, 0, 1, 1, 2)))),
            install_code=rng.random() < 0.2,
            known=name in KNOWN,
        )

    def fields(self) -> dict[str, Any]:
        """Draw the fields of a policy: some at once, never a contradiction."""
        rng = self.rng
        makers = rng.sample(self._makers(), rng.choice((1, 1, 2, 3, 4)))
        fields: dict[str, Any] = {}
        for make in makers:
            fields |= make()
        return fields

    def _makers(self) -> list[Any]:
        rng = self.rng
        return [
            self._score, self._score, self._status, self._names, self._excluded, self._platforms, self._licenses,
            lambda: {"package_created_from": rng.choice(DATES[:2]), "package_created_to": rng.choice(DATES[2:])},
            lambda: {"exclude_uncurated_cve_packages": True},
            lambda: {"keep_legacy_packages": True},
            lambda: {"python_versions": self.some(("3.9", "3.11", "3.12"))},
            lambda: {"install_time_code": "hide", "missing_facts": rng.choice(("allow", "hide"))},
            lambda: {"unknown_vulnerabilities": "hide"},
            lambda: {"malware": "allow"},
            lambda: {"minimum_age_days": rng.choice((1, 5, 30))},
            lambda: {"latest_only": True},
            lambda: {"whole_closure": True},
            lambda: {"only_signed_packages": rng.random() < 0.3},
        ]  # fmt: skip

    def _score(self) -> dict[str, Any]:
        rng = self.rng
        fields: dict[str, Any] = {
            "cve_score": rng.choice((7, 9.8, 0, 1.8)),
            "cve_score_comparator": rng.choice(("<=",) * 4 + ("<", ">=", "==", ">")),
        }
        if rng.random() < 0.3:
            fields["cve_allowlist"] = [rng.choice([name for flaw in FLAWS[:4] for name in (flaw.key, *flaw.aliases)])]
        if rng.random() < 0.3:
            fields["settled_vulnerabilities"] = "ignore"
        return fields

    def _status(self) -> dict[str, Any]:
        drawn = self.some(STATUSES, 4)
        cut = self.rng.randint(0, len(drawn))
        fields = {"cve_status": drawn[:cut], "exclude_cve_status": drawn[cut:]}
        return fields | {"cve_link_status_and_score": self.rng.choice(("and", "or"))}

    def _names(self) -> dict[str, Any]:
        names = [str(self.spec()) for _ in range(self.rng.randint(1, 3))]
        return {"package_name": names, "include_dependencies": self.rng.random() < 0.5}

    def _excluded(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"exclude_package_name": [str(self.spec()) for _ in range(self.rng.randint(1, 2))]}
        if self.rng.random() < 0.5:
            fields["exclude_package_name_exception"] = [str(self.spec())]
        return fields

    def _platforms(self) -> dict[str, Any]:
        drawn = self.some(SUBDIRS, 3)
        cut = self.rng.randint(0, len(drawn))
        return {"platform": drawn[:cut], "platform_not": drawn[cut:]}

    def _licenses(self) -> dict[str, Any]:
        drawn = self.some(("MIT", "BSD", "GPL3", "APACHE", "LGPL", "None"), 3)
        cut = self.rng.randint(0, len(drawn))
        fields: dict[str, Any] = {"license": drawn[:cut], "license_not": drawn[cut:]}
        if self.rng.random() < 0.3:
            fields["license_exception"] = [str(self.spec())]
        return fields

    def waived(self) -> Waived:
        """Draw what a waiver lets pass."""
        spec, roll = self.spec(NAMES), self.rng.random()
        if roll < 0.4:
            return Waived(spec)
        if roll < 0.7:
            return Waived(spec, rules=tuple(self.some(RULES)))
        return Waived(spec, cves=tuple(flaw.key for flaw in self.some(FLAWS)))

    def case(self, now: int) -> Case:
        """Draw a whole channel with all that holds in it."""
        rng = self.rng
        files: dict[str, File] = {}
        for _ in range(rng.randint(1, 14)):
            file = self.file()
            file.mirrored = rng.random() < 0.6
            file.held = not file.mirrored or rng.random() < 0.5
            file.first_seen = (
                rng.choice((None, now - DAY // 2, now - 3 * DAY, now - 10 * DAY)) if file.mirrored else None
            )
            file.published = None if file.published is None else file.published * 1_000_000
            file.quarantined = rng.random() < 0.05
            file.flaws = [(flaw, rng.choice(STATUSES)) for flaw in self.some(FLAWS, 3)] if rng.random() < 0.5 else []
            files[file.ckey] = file
        return Case(
            list(files.values()),
            self.fields() if rng.random() < 0.95 else None,
            now,
            reserved=["acme-*"] if rng.random() < 0.2 else [],
            waivers=[self.waived() for _ in range(rng.choice((0, 0, 1, 2)))],
            specs=self.specs,
        )
