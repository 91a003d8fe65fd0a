"""Which partitions, names and files a mirror's filters select; across partitions where dependencies come along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from packhouse.catalog.mirrors.filters import Filters
from packhouse.catalog.mirrors.mirror import Options
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.rules.names import OnlyNamesAndNeeds
from packhouse.security.policies.specs import Specs
from packhouse.workflows.mirroring.closure import close
from packhouse.workflows.mirroring.plan import Selection, select
from packhouse.workflows.mirroring.policy import dependency_policy, policy_of
from packhouse.workflows.mirroring.upstream import Source

NOARCH = "noarch"
FAMILY = "conda"


class Selector:
    """The selection of one run.

    When `subdirs` lacks noarch, the noarch files that selected ones need are added, as users of platform packages
    expect. With `include_dependencies` the same is done over all selected subdirs and noarch. What the filters select
    must also pass the mirror's own policy.
    """

    def __init__(self, filters: Filters, options: Options, own: Policy) -> None:
        self._filters, self._own = filters, own
        self._whole = (options.include_dependencies and bool(filters.only_specs)) or own.has(OnlyNamesAndNeeds)
        self._adds_noarch = bool(filters.subdirs) and NOARCH not in filters.subdirs
        self._only = Specs(filters.only_specs)
        #: the subdirs are selected by what is read
        self.policy = policy_of(msgspec.structs.replace(filters, subdirs=[]), own)
        self.selections: dict[str, Selection] = {}
        self.added: dict[str, int] = {}

    @property
    def closes(self) -> bool:
        """Whether files are selected across partitions, so that all indexes are needed at once."""
        return self._whole or self._adds_noarch

    def partitions(self, offered: Iterable[str]) -> set[str]:
        """Return the subdirs to read; without a filter all those `offered`."""
        extra = {NOARCH} if self.closes else set()
        return set(self._filters.subdirs or offered) | extra

    def reads(self, partition: str) -> bool:
        """Whether the index of a subdir is read."""
        return not self._filters.subdirs or partition in self.partitions(())

    def name(self, name: str) -> bool:
        """Whether files of a package may be selected at all: others need not be fetched from a sharded index."""
        return self.closes or not self._only or bool(self._only.about(FAMILY, name))

    def close(self, sources: Mapping[str, Source]) -> None:
        """Make the selections over all indexes at once, with what the selected files need."""
        chosen = self._filters.subdirs or list(sources)
        for partition, source in sources.items():
            if partition in chosen:
                self.selections[partition] = select(source, source.files, self.policy)
            else:
                self.selections[partition] = Selection(set(), Counter(), [])
        searched = {NOARCH, *(sources if self._whole else ())}
        added = close(
            sources,
            {partition: selection.chosen for partition, selection in self.selections.items()},
            sorted(searched & set(sources)),
            dependency_policy(self._filters, self._own),
        )
        for partition, names in added.items():
            self.selections[partition].chosen |= names
            self.added[partition] = len(names)
            overridden = self.selections[partition].filtered
            key = "only_specs" if self._filters.only_specs else "package_name"
            overridden[key] -= min(len(names), overridden[key])
