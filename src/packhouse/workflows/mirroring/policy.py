"""From a mirror's filters to the rules that decide, and from an upstream record to what those rules look at."""

from __future__ import annotations

import msgspec

from packhouse.catalog.mirrors.filters import Filters
from packhouse.formats.base import Malformed
from packhouse.formats.conda.record import columns
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.rules.dates import Published
from packhouse.security.policies.rules.license import Licenses
from packhouse.security.policies.rules.names import ExcludeSpecs, OnlySpecs
from packhouse.security.policies.rules.platform import Platforms
from packhouse.security.policies.rules.signature import OnlySigned
from packhouse.security.policies.subject import Rule, Subject


def policy_of(filters: Filters) -> Policy:
    """Return the rules of the filters in the order in which they are asked; CVE rules come with the judgement of files.

    Raises PackhouseError("bad_request") for a spec, licence or date that cannot be understood.
    """
    rules: list[Rule] = []
    if filters.subdirs:
        rules.append(Platforms(filters.subdirs))
    if filters.include_licenses or filters.exclude_licenses:
        rules.append(Licenses(filters.include_licenses, filters.exclude_licenses))
    if filters.only_specs:
        rules.append(OnlySpecs(filters.only_specs))
    if filters.exclude_specs:
        rules.append(ExcludeSpecs(filters.exclude_specs, filters.include_specs))
    start, end = filters.window
    if start is not None or end is not None:
        rules.append(Published(start, end))
    if filters.only_signed:
        rules.append(OnlySigned())
    return Policy(rules)


def dependency_policy(filters: Filters) -> Policy:
    """Return the rules that files selected as dependencies must pass: all but the selection by subdir and name."""
    return policy_of(msgspec.structs.replace(filters, subdirs=[], only_specs=[]))


def subject_of(partition: str, filename: str, record: bytes | msgspec.Raw, signed: bool) -> Subject:
    """Return what the rules look at. Raises Malformed for a record no index can carry."""
    found = columns(filename, record)
    return Subject(
        partition,
        found.name,
        found.version,
        found.build,
        found.build_number,
        found.license,
        found.license_family,
        found.timestamp_ms * 1000 if found.timestamp_ms else None,
        signed,
    )


def try_subject(partition: str, filename: str, record: bytes | msgspec.Raw, signed: bool) -> Subject | str:
    """Return the subject, or why the record cannot be used."""
    try:
        return subject_of(partition, filename, record, signed)
    except Malformed as fault:
        return str(fault)
