"""What is known of files that another server offers: the judge's knowledge, before anything of them is written here."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np

from packhouse.core.db import Database
from packhouse.security.policies.batch import Batch, Ints
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.findings import Findings
from packhouse.security.policies.rules.malware import Malware
from packhouse.security.policies.rules.quarantine import Quarantine
from packhouse.security.policies.rules.unknown import UnknownVulnerabilities
from packhouse.security.policies.rules.vulnerabilities import Vulnerabilities
from packhouse.security.vulnerabilities.aliases import Origin, origin_of
from packhouse.workflows.judging.batches import findings_of
from packhouse.workflows.judging.columns import files_of
from packhouse.workflows.judging.knowing import Knowledge, foresee
from packhouse.workflows.judging.naming import likeness
from packhouse.workflows.judging.store import FileRow

#: names that are looked up together, so that others have their turn in between
NAMES = 200


def asks(policy: Policy) -> bool:
    """Say whether a rule asks what is known of files, besides what their records say."""
    return policy.has(Vulnerabilities, UnknownVulnerabilities, Malware, Quarantine)


class Offered:
    """Versions of packages that another server offers, and what their records say of where they come from."""

    def __init__(self) -> None:
        self.versions: defaultdict[str, set[str]] = defaultdict(set)
        self.origins: defaultdict[str, set[Origin]] = defaultdict(set)
        self._read: set[tuple[str, ...]] = set()

    def add(self, name: str, version: str, record: bytes) -> None:
        """Add a file by its record, a JSON object."""
        self.versions[name].add(version)
        alike = (name, *likeness(record))
        if alike not in self._read:
            self._read.add(alike)
            self.origins[name].add(origin_of(msgspec.json.decode(record)))


async def foresee_all(db: Database, family: str, offered: Offered) -> Knowledge:
    """Return what is known of everything that is offered of a family."""
    known = Knowledge(family, {}, {}, set(), set(), set())
    names = sorted(offered.versions)
    for start in range(0, len(names), NAMES):
        versions = {name: offered.versions[name] for name in names[start : start + NAMES]}
        known.add(await foresee(db, family, versions, offered.origins))
        await asyncio.sleep(0)
    return known


def informed(batch: Batch, digests: Sequence[str | None], knowledge: Knowledge) -> Batch:
    """Return offered files with what is known of them. `digests` are the SHA-256 that their records claim."""
    names = {name for name, _ in knowledge.found}
    quarantined = {one.hex() for one in knowledge.quarantined}
    return msgspec.structs.replace(
        batch,
        findings=_findings(batch, np.flatnonzero(batch.name.test(names.__contains__)), digests, knowledge),
        mapped=batch.name.test(knowledge.mapped.__contains__),
        quarantined=np.fromiter((digest in quarantined for digest in digests), np.bool_, len(digests)),
    )


def _findings(batch: Batch, rows: Ints, digests: Sequence[str | None], knowledge: Knowledge) -> Findings:
    """Return the findings of a batch, of which only these rows can have any."""
    files = [_file(batch, row, digests[row]) for row in rows.tolist()]
    found = findings_of(files_of(batch.family, files), knowledge)
    sizes = np.zeros(len(batch), np.int64)
    sizes[rows] = np.diff(found.offsets)
    offsets: Ints = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return Findings(offsets, found.vulnerability, found.status, found.vulnerabilities)


def _file(batch: Batch, row: int, digest: str | None) -> FileRow:
    """Return an offered file as one of ours that has no number yet."""
    return FileRow(
        0, 0, batch.partition[row], "", batch.name[row], batch.version[row], batch.build[row],
        int(batch.build_number[row]), batch.license[row], batch.license_family[row], None,
        bytes.fromhex(digest) if digest else None, install_code=False, judged_by_builder=False, first_seen_at=None,
        uploaded=False,
    )  # fmt: skip
