"""What a run would change in one partition: a pure difference between the upstream's index and what we have.

Raw texts are compared by hash, so that a million unchanged records cost about a second; only new and changed ones are
parsed, and those the filters must judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from itertools import compress

import msgspec

from packhouse.catalog.mirrors.holdings import Known
from packhouse.formats import registry
from packhouse.security.policies.context import Context
from packhouse.security.policies.decide import Policy, decide
from packhouse.workflows.mirroring.intake import hash_of
from packhouse.workflows.mirroring.policy import batch_of
from packhouse.workflows.mirroring.upstream import Source


class Plan(msgspec.Struct):
    """The difference. File names refer to `Source.files`; entries to be removed are given as what we know of them."""

    partition: str
    add: list[str] = []
    update: list[Known] = []
    gone: list[Known] = []  #: not upstream any more
    excluded: list[Known] = []  #: upstream, but the filters do not select it any more
    foreign: list[Known] = []  #: what an upload or another mirror holds, and the upstream describes otherwise
    held: int = 0  #: all coordinates of an upload or another mirror
    kept: int = 0
    kept_out: int = 0
    filtered: Counter[str] = msgspec.field(default_factory=Counter)
    unusable: list[tuple[str, str]] = []  #: file names and why their records cannot be judged


class Selection(msgspec.Struct):
    """Which files of a partition the filters select, and why the others are not."""

    chosen: set[str]
    filtered: Counter[str]
    unusable: list[tuple[str, str]]


def select(source: Source, names: Iterable[str], policy: Policy) -> Selection:
    """Judge files of an index by the rules; without rules all are chosen."""
    if not policy:
        return Selection(set(names), Counter(), [])
    signed = source.signed or frozenset()
    family = registry.of_partition(source.partition).family
    filenames, batch, unusable = batch_of(
        family,
        ((source.partition, name, source.files[name], name in signed) for name in names),
        source.knowledge,
    )
    decisions = decide(batch, Context(), policy, 0)
    return Selection(set(compress(filenames, decisions.seen.tolist())), decisions.counts(), unusable)


def plan(
    source: Source,
    known: Mapping[str, Known],
    mirror_id: int,
    policy: Policy,
    kept_out: Collection[str],
    *,
    full: bool = False,
    selection: Selection | None = None,
) -> Plan:
    """Return what to change so that the partition shows what the upstream has and the filters select.

    `known` is everything the channel shows there, whoever brought it. With `full` the filters judge unchanged files,
    too. A `selection` made beforehand, over the whole index, takes the place of the policy.
    """
    result = Plan(source.partition)
    open_questions = _compare(source, known, mirror_id, kept_out, full or selection is not None, result)
    answers = selection or select(source, [filename for filename, _, _ in open_questions], policy)
    result.filtered, result.unusable = answers.filtered, answers.unusable
    unusable = {filename for filename, _ in answers.unusable}
    for filename, entry, same in open_questions:
        if filename in unusable:  # as long as nobody can tell, what is here stays
            continue
        if filename not in answers.chosen:
            if entry is not None:
                result.excluded.append(entry)
        elif entry is None:
            result.add.append(filename)
        elif same:
            result.kept += 1
        else:
            result.update.append(entry)
    return result


def _compare(
    source: Source, known: Mapping[str, Known], mirror_id: int, kept_out: Collection[str], full: bool, result: Plan
) -> list[tuple[str, Known | None, bool]]:
    """Fill in what needs no judgement; return (file name, our entry there, unchanged) for the rest."""
    questions: list[tuple[str, Known | None, bool]] = []
    signatures = source.signatures
    for filename, raw in source.files.items():
        entry = known.get(filename)
        if entry is None:
            if filename in kept_out:
                result.kept_out += 1
            else:
                questions.append((filename, None, False))
            continue
        same = entry.source_hash == hash_of(raw, signatures.get(filename)) and entry.origin_id is None
        if entry.mirror_id != mirror_id:
            result.held += 1
            if not same:
                result.foreign.append(entry)
        elif same and not full:
            result.kept += 1
        else:
            questions.append((filename, entry, same))
    for filename, entry in known.items():
        if entry.mirror_id == mirror_id and filename not in source.files and entry.name not in source.unchanged:
            (result.excluded if entry.name in source.unwanted else result.gone).append(entry)
    return questions
