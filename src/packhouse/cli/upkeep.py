"""`verify`, `repair` and `sweep`: they work on the installation itself, beside a live server too."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from packhouse.app import build_services, close
from packhouse.cli.running import settings_of
from packhouse.workflows.maintaining.belonging import require_own_store
from packhouse.workflows.maintaining.finding import Finding
from packhouse.workflows.maintaining.repair import repair as repair_all
from packhouse.workflows.maintaining.sweep import Report, Tally, diagnose
from packhouse.workflows.maintaining.sweep import sweep as sweep_all
from packhouse.workflows.maintaining.verify import verify as verify_all
from packhouse.workflows.services import Services

T = TypeVar("T")
#: exit codes: nothing wrong, and something found
GOOD, FOUND = 0, 1


def verify(data: Path | None, *, deep: bool) -> int:
    """Print every finding and return 1 if there is one; information alone is no finding."""
    found = with_services(data, lambda services: _print_all(verify_all(services, deep=deep)))
    _say(f"{found} findings" if found else "Every invariant holds.")
    return FOUND if found else GOOD


def repair(data: Path | None) -> int:
    """Print what differed and is set right now, and as a note what could not be."""
    repaired = with_services(data, lambda services: _print_all(repair_all(services)))
    _say(f"{repaired} things were recomputed." if repaired else "Nothing differed.")
    return GOOD


def sweep(data: Path | None, *, dry_run: bool) -> int:
    """Print what went, or with `dry_run` what would go now and what nobody owns at all."""
    report: Report = with_services(data, lambda services: sweep_all(services, dry_run=dry_run))
    done = "would be " if dry_run else ""
    _say(f"contents without an owner: {_told(report.marked)} {done}marked, {_told(report.deleted)} {done}deleted")
    _say(f"files without a row:       {_told(report.unknown)} {done}marked")
    _say(f"unused records: {report.records.count}, unused parts: {report.parts.count}, leftovers: {report.downloads}")
    if dry_run:
        held: Report = with_services(data, diagnose)
        _say(f"whatever its age:          {_told(held.marked)} without an owner, {_told(held.deleted)} marked")
    return GOOD


def _told(tally: Tally) -> str:
    return f"{tally.count} ({tally.bytes} bytes)"


def with_services(data: Path | None, work: Callable[[Services], Awaitable[T]]) -> T:
    """Return what `work` returns for the installation in `data`. Raises PackhouseError as `build_services`.

    The identity file is left alone: it may need variables and libraries that only the server has.
    """

    async def run() -> T:
        services = build_services(settings_of(data), people=False)
        try:
            await require_own_store(services)
            return await work(services)
        finally:
            await close(services)

    return asyncio.run(run())


async def _print_all(findings: AsyncIterator[Finding]) -> int:
    """Print as they come; return how many are more than information."""
    count = 0
    async for finding in findings:
        _say(("note: " if finding.information else "") + str(finding))
        count += not finding.information
    return count


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
