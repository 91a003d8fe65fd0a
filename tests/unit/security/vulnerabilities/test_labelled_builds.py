"""Builds of which people have said whether they are affected: names are resolved right, and what is not known is said.

The thresholds are those we promise: precision 0.98, and recall 0.9 where the name is mapped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from packhouse.security.vulnerabilities.advisory import Advisory
from packhouse.security.vulnerabilities.aliases import aliases_of, is_mapped, origin_of, resolve
from packhouse.security.vulnerabilities.feeds.osv import advisory
from packhouse.security.vulnerabilities.feeds.reading import Notes
from packhouse.security.vulnerabilities.matching import match

_SET: dict[str, Any] = msgspec.json.decode(Path(__file__).with_name("labelled_builds.json").read_bytes())
_ADVISORIES: list[Advisory] = [advisory(msgspec.json.encode(one), Notes()) for one in _SET["advisories"]]
_COVERED = {affected.ecosystem for one in _ADVISORIES for affected in one.affected}


def _answer(row: dict[str, Any]) -> bool | None:
    """Return whether a build is found affected; None: unknown, for its name is not mapped."""
    origin = origin_of({"version": row["version"], "depends": row["depends"]})
    aliases = resolve(aliases_of("conda", row["name"], [origin]))
    if not is_mapped(aliases, _COVERED):
        return None
    names = {(alias.ecosystem, alias.upstream) for alias in aliases}
    found = match(_ADVISORIES, names, [row["version"]], "conda")
    return any(row["vulnerability"] in hit.keys for hit in found)


def test_precision_and_recall_on_labelled_builds() -> None:
    rows = _SET["rows"]
    assert len(rows) >= 60
    answers = [(row, _answer(row)) for row in rows]
    hits = [row for row, answer in answers if answer]
    wrong = [row for row in hits if not row["affected"]]
    missed = [row for row, answer in answers if row["affected"] and answer is False]
    mapped = [row for row, answer in answers if row["affected"] and answer is not None]
    precision, recall = 1 - len(wrong) / len(hits), 1 - len(missed) / len(mapped)
    unknown = sum(answer is None for _, answer in answers)
    print(f"{len(rows)} builds: precision {precision:.3f}, recall {recall:.3f}, unknown {unknown}")
    assert precision >= 0.98, wrong
    assert recall >= 0.9, missed
    # most of the set must be mapped: else the recall of what is left says little
    assert unknown <= 0.1 * len(rows)


def test_an_affected_build_of_a_name_without_alias_is_unknown_and_not_clean() -> None:
    unmapped = [row for row in _SET["rows"] if row["name"] in ("openssl", "zlib")]
    assert unmapped and all(row["affected"] and _answer(row) is None for row in unmapped)
