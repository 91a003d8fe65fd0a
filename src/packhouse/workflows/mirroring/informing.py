"""Lets an upstream's index know what rules will ask of its files, so that judging it needs no database."""

from __future__ import annotations

import asyncio

from packhouse.catalog.signing import trusted_keys
from packhouse.core.db import Database
from packhouse.formats import registry
from packhouse.formats.base import Malformed
from packhouse.security.policies.decide import Policy
from packhouse.security.policies.rules.signature import OnlySigned
from packhouse.security.signing.conda import signers
from packhouse.workflows.answering.foreseeing import Offered, asks, foresee_all
from packhouse.workflows.mirroring.upstream import Source


async def inform(db: Database, source: Source, policy: Policy) -> None:
    """Set what is known of the files of an index, if a rule of the policy asks for it; nothing is written."""
    if asks(policy):
        family = registry.of_partition(source.partition).family
        source.knowledge = await foresee_all(db, family, await asyncio.to_thread(_offered, family, source))
    if policy.has(OnlySigned):
        keys = frozenset(one.key.hex() for one, _ in await trusted_keys.every(db))
        source.signed = await asyncio.to_thread(_signed, source, keys)


def _signed(source: Source, trusted: frozenset[str]) -> frozenset[str]:
    """Return the files whose record one of these keys truly signed; a mere entry among the signatures is none."""
    return frozenset(
        filename
        for filename, said in source.signatures.items()
        if filename in source.files and not trusted.isdisjoint(signers(bytes(source.files[filename]), bytes(said)))
    )


def _offered(family: str, source: Source) -> Offered:
    columns = registry.get(family).columns
    found = Offered()
    for filename, record in source.files.items():
        try:
            read = columns(filename, record)
        except Malformed:
            continue  # whoever judges it says so
        found.add(read.name, read.version, bytes(record))
    return found
