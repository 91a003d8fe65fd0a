"""From files and what is known of them to the columns that rules look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from packhouse.core.db.base import Reader
from packhouse.formats import registry
from packhouse.security.policies.batch import Batch, Coded, Ints, times
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.findings import STATUSES, Findings, Known
from packhouse.security.policies.rules.python import PythonVersions
from packhouse.security.vulnerabilities.statements import File as StatedFile
from packhouse.security.vulnerabilities.statements import Judgements
from packhouse.workflows.judging import store
from packhouse.workflows.judging.knowing import Knowledge
from packhouse.workflows.judging.store import FileRow

_REPORTED = STATUSES.index("reported")


def batch_of(rows: Sequence[FileRow], knowledge: Knowledge, python: Mapping[int, str] | None = None) -> Batch:
    """Return the columns of files, in their order. `python`: what records ask of Python's version, by id."""
    count = len(rows)
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(FileRow._fields)
    at = dict(zip(FileRow._fields, columns, strict=True))
    family = registry.get(knowledge.family)
    asked = python or {}

    def texts(name: str) -> Coded:
        return Coded.of(at[name])

    def bools(name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.fromiter((bool(value) for value in at[name]), np.bool_, count)

    def among(name: str, some: Collection[object]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.fromiter((value in some for value in at[name]), np.bool_, count)

    return Batch(
        family=knowledge.family,
        partition=texts("partition"),
        name=(name := texts("name")),
        version=texts("version"),
        build=texts("build"),
        license=texts("license"),
        license_family=texts("license_family"),
        python=Coded.of(asked.get(row.record_id, "") for row in rows) if asked else Coded.all("", count),
        build_number=np.array(at["build_number"], np.int64),
        published_at=times(at["timestamp"]),
        first_seen_at=times(at["first_seen_at"]),
        signed=among("record_id", knowledge.signed),
        mirrored=~bools("uploaded"),
        held=bools("content_id"),
        install_code=bools("install_code"),
        mapped=name.test(knowledge.mapped.__contains__),
        quarantined=among("sha256", knowledge.quarantined),
        legacy=np.fromiter((family.is_legacy(str(one)) for one in at["filename"]), np.bool_, count),
        findings=findings_of(rows, knowledge),
    )


def findings_of(rows: Sequence[FileRow], knowledge: Knowledge) -> Findings:
    """Return what was found in each file, with the status it has there."""
    if not knowledge.found:
        return Findings.none(len(rows))
    numbers: dict[Known, int] = {}
    codes = {
        version: [numbers.setdefault(known, len(numbers)) for known in found]
        for version, found in knowledge.found.items()
    }
    nothing: list[int] = []
    of_row = [codes.get((row.name, row.version), nothing) for row in rows]
    sizes = np.fromiter(map(len, of_row), np.int64, len(rows))
    offsets: Ints = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    flat = np.fromiter((code for found in of_row for code in found), np.int32, int(offsets[-1]))
    status = np.full(len(flat), _REPORTED, np.int8)
    _judge(rows, knowledge, of_row, offsets, list(numbers), status)
    return Findings(offsets, flat, status, list(numbers))


def _judge(
    rows: Sequence[FileRow],
    knowledge: Knowledge,
    of_row: Sequence[Sequence[int]],
    offsets: Ints,
    known: Sequence[Known],
    status: np.ndarray[tuple[int], np.dtype[np.int8]],
) -> None:
    """Set the status of the findings about which somebody said something."""
    stated: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        if row.name in knowledge.statements and of_row[number]:
            stated[row.name].append(number)
    for name, of_name in stated.items():
        judgements = Judgements(knowledge.family, name, knowledge.statements[name])
        files: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for number in of_name:
            for place, code in enumerate(of_row[number]):
                files[code].append((number, int(offsets[number]) + place))
        for code, places in files.items():
            one = known[code]
            asked = [_stated_file(rows[number]) for number, _ in places]
            words = judgements.statuses(one.key, one.aliases, asked, malware=one.kind == "malware")
            for (_, place), (word, _) in zip(places, words, strict=True):
                status[place] = STATUSES.index(word)


def _stated_file(row: FileRow) -> StatedFile:
    return StatedFile(row.version, row.build, row.build_number, (row.sha256 or b"").hex(), row.partition)


async def python_of(reader: Reader, family: str, rows: Sequence[FileRow], policies: Sequence[Policy]) -> dict[int, str]:
    """Return what records ask of Python's version, when one of the policies wants to know."""
    if not any(policy.has(PythonVersions) for policy in policies):
        return {}
    found = await store.bodies(reader, {row.record_id for row in rows})
    asks = registry.get(family).python_of
    return {number: asked for number, body in found.items() if (asked := asks(msgspec.json.decode(body)))}
