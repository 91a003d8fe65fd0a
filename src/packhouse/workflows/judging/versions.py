"""Verdicts of whole versions: by rules that look at nothing but what was found, files of a version are alike.

So one that stands for all of them is judged, and what that says is written of all, without reading them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from packhouse.catalog.policies import verdicts
from packhouse.catalog.vulnerabilities import findings, statements
from packhouse.core.db import Unit
from packhouse.security.policies.decide import Policy
from packhouse.workflows.judging.batches import batch_of
from packhouse.workflows.judging.knowing import recall
from packhouse.workflows.judging.store import FileRow
from packhouse.workflows.judging.verdicts import hidden_by


async def judge_versions(
    unit: Unit,
    channel_ids: Sequence[int],
    family: str,
    names: Sequence[str],
    ruleset: int,
    policy: Policy,
) -> list[str]:
    """Write what a ruleset says of packages; return those of which files are to be looked at one by one after all.

    These are the ones of which somebody stated something since `suspects` set those apart whose files may differ.
    `policy` hides only files with some fact.
    """
    said = {row.name for row in await statements.of_names(unit, family, names)}
    alike = [name for name in names if name not in said]
    rows = [_standing_for(*one) for one in await findings.versions_of(unit, family, alike)]
    batch = batch_of(rows, await recall(unit, family, rows, [policy]))
    hidden: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row, rule in zip(rows, hidden_by(batch, policy, unit.now), strict=True):
        if rule is not None:
            hidden[row.name, rule].append(row.version)
    await verdicts.hide_versions(unit, channel_ids, family, ruleset, hidden)
    return sorted(said)


def _standing_for(name: str, version: str) -> FileRow:
    return FileRow(
        0, 0, "", "", name, version, "", 0, "", "", None, None,
        install_code=False, judged_by_builder=False, first_seen_at=None, uploaded=False,
    )  # fmt: skip
