"""From files and what is known of them to the columns that rules look at."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from packhouse.core.db import Database
from packhouse.core.db.base import Reader
from packhouse.core.stopping import calculate
from packhouse.formats import registry
from packhouse.security.policies.batch import Batch, Bools, Coded, Ints
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.findings import STATUSES, Findings, Known
from packhouse.security.vulnerabilities.statements import File as StatedFile
from packhouse.security.vulnerabilities.statements import Judgements
from packhouse.workflows.judging import store
from packhouse.workflows.judging.columns import Files, digests, files_of
from packhouse.workflows.judging.knowing import Knowledge, recall_channel
from packhouse.workflows.judging.store import FileRow

#: records read at a time
RECORDS = 2000
_REPORTED = STATUSES.index("reported")


def batch_of(rows: Sequence[FileRow], knowledge: Knowledge, python: Mapping[int, str] | None = None) -> Batch:
    """Return the columns of files, in their order. `python`: what records ask of Python's version, by id."""
    return batch_of_files(files_of(knowledge.family, rows), knowledge, python)


def batch_of_files(files: Files, knowledge: Knowledge, python: Mapping[int, str] | None = None) -> Batch:
    """Return the same of files that are in columns already."""
    count, asked = len(files), python or {}
    return Batch(
        family=files.family,
        partition=files.partition,
        name=files.name,
        version=files.version,
        build=files.build,
        license=files.license,
        license_family=files.license_family,
        python=Coded.of(asked.get(one, "") for one in files.record_id.tolist()) if asked else Coded.all("", count),
        build_number=files.build_number,
        published_at=files.published_at,
        first_seen_at=files.first_seen_at,
        signed=_among(files.record_id, np.array(sorted(knowledge.signed), np.int64)),
        mirrored=~files.uploaded,
        held=files.content_id != 0,
        install_code=files.install_code,
        mapped=files.name.test(knowledge.mapped.__contains__),
        quarantined=_among(files.sha256, digests(knowledge.quarantined)),
        legacy=files.legacy,
        findings=findings_of(files, knowledge),
    )


def _among(column: NDArray[Any], some: NDArray[Any]) -> Bools:
    return np.isin(column, some) if len(some) else np.zeros(len(column), np.bool_)


def findings_of(files: Files, knowledge: Knowledge) -> Findings:
    """Return what was found in each file, with the status it has there."""
    count = len(files)
    names, versions = files.name.numbers(), files.version.numbers()
    numbers: dict[Known, int] = {}
    codes: dict[int, list[int]] = {}
    for (name, version), found in knowledge.found.items():
        if name in names and version in versions:
            pair = names[name] * len(versions) + versions[version]
            codes[pair] = [numbers.setdefault(known, len(numbers)) for known in found]
    if not codes:
        return Findings.none(count)
    pairs = np.array(sorted(codes), np.int64)
    sizes = np.array([len(codes[pair]) for pair in pairs.tolist()], np.int64)
    starts = np.cumsum(sizes) - sizes
    flat = np.array([code for pair in pairs.tolist() for code in codes[pair]], np.int32)
    of_row = files.name.codes.astype(np.int64) * len(versions) + files.version.codes
    place = np.minimum(np.searchsorted(pairs, of_row), len(pairs) - 1)
    size_of_row = np.where(pairs[place] == of_row, sizes[place], 0)
    offsets: Ints = np.concatenate([np.zeros(1, np.int64), np.cumsum(size_of_row)])
    at = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - starts[place], size_of_row)
    findings = Findings(offsets, flat[at], np.full(len(at), _REPORTED, np.int8), list(numbers))
    _judge(files, knowledge, findings)
    return findings


def _judge(files: Files, knowledge: Knowledge, findings: Findings) -> None:
    """Set the status of the findings about which somebody said something."""
    names = files.name.numbers()
    for name in sorted(knowledge.statements.keys() & names.keys()):
        judgements = Judgements(knowledge.family, name, knowledge.statements[name])
        for code, places in _by_vulnerability(findings, np.flatnonzero(files.name.codes == names[name])).items():
            one = findings.vulnerabilities[code]
            asked = [_stated_file(files, row) for row, _ in places]
            words = judgements.statuses(one.key, one.aliases, asked, malware=one.kind == "malware")
            for (_, place), (word, _) in zip(places, words, strict=True):
                findings.status[place] = STATUSES.index(word)


def _by_vulnerability(findings: Findings, rows: Ints) -> dict[int, list[tuple[int, int]]]:
    """Return for each vulnerability found in some rows (row, place among the findings), by its number."""
    found: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in rows.tolist():
        for place in range(int(findings.offsets[row]), int(findings.offsets[row + 1])):
            found[int(findings.vulnerability[place])].append((row, place))
    return found


def _stated_file(files: Files, row: int) -> StatedFile:
    return StatedFile(
        files.version[row], files.build[row], int(files.build_number[row]), files.digest(row).hex(),
        files.partition[row],
    )  # fmt: skip


async def batch_of_channel(db: Database, files: Files, policies: Sequence[Policy]) -> Batch:
    """Return the columns of a whole channel that policies look at; others are served between."""
    known = await recall_channel(db, files, policies)
    records, python = files.record_id.tolist(), dict[int, str]()
    for start in range(0, len(records), RECORDS):
        python |= await _python_of(db, files.family, records[start : start + RECORDS], policies)
        await asyncio.sleep(0)  # SQLite answers without a turn of the event loop
    return await calculate(partial(batch_of_files, files, known, python))


async def python_of(reader: Reader, family: str, rows: Sequence[FileRow], policies: Sequence[Policy]) -> dict[int, str]:
    """Return what records ask of Python's version, when one of the policies wants to know."""
    return await _python_of(reader, family, {row.record_id for row in rows}, policies)


async def _python_of(
    reader: Reader, family: str, records: Collection[int], policies: Sequence[Policy]
) -> dict[int, str]:
    if not any("python" in policy.looks_up for policy in policies):
        return {}
    found = await store.bodies(reader, records)
    asks = registry.get(family).python_of
    return {number: asked for number, body in found.items() if (asked := asks(msgspec.json.decode(body)))}
