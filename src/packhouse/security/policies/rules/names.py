"""Keep or drop files by match specs: only, exclude, and include as the exception to exclude."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from packhouse.formats.conda.solver_types import Spec, compile_spec
from packhouse.security.policies.subject import Context, Subject


class Specs:
    """A set of match specs, asked about a million files: specs of one name are found by that name."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_name: defaultdict[str, list[Spec]] = defaultdict(list)
        self._patterns: list[Spec] = []
        for text in texts:
            spec = compile_spec(text)
            if spec.name is None:
                self._patterns.append(spec)
            else:
                self._by_name[spec.name].append(spec)
        self._known: dict[str, list[Spec]] = {}

    def __bool__(self) -> bool:
        """Whether there is any spec."""
        return bool(self._by_name or self._patterns)

    def about(self, name: str) -> list[Spec]:
        """Return the specs that may select files of a package."""
        found = self._known.get(name)
        if found is None:
            found = list(self._by_name.get(name, ()))
            found += [spec for spec in self._patterns if spec.matches_name(name)]
            self._known[name] = found
        return found

    def match(self, subject: Subject) -> str | None:
        """Return the first spec that selects the file, or None."""
        for spec in self.about(subject.name):
            if spec.matches(
                subject.name,
                subject.version,
                subject.build,
                subject.build_number,
                subdir=subject.partition,
                license=subject.license,
            ):
                return spec.text
        return None


class OnlySpecs:
    """Hides what none of the specs selects."""

    key = "only_specs"

    def __init__(self, specs: Iterable[str]) -> None:
        self.specs = Specs(specs)

    def hides(self, subject: Subject, context: Context, now: int) -> str | None:
        """Return a reason when no spec selects the file."""
        return None if self.specs.match(subject) else "no spec selects it"


class ExcludeSpecs:
    """Hides what a spec excludes, unless another one includes it again; that overrides nothing but this rule."""

    key = "exclude_specs"

    def __init__(self, exclude: Iterable[str], include: Iterable[str]) -> None:
        self._exclude = Specs(exclude)
        self._include = Specs(include)

    def hides(self, subject: Subject, context: Context, now: int) -> str | None:
        """Return the spec that excludes the file, when none includes it."""
        excluded = self._exclude.match(subject)
        return f"excluded by {excluded}" if excluded and not self._include.match(subject) else None
