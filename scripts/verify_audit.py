"""Checks exports of the audit trail without the server: nothing was altered, removed or put elsewhere.

scripts/verify_audit.py --key HEX [--head NUMBER:HASH]... EXPORT...

EXPORT are files of `GET /api/events/export`, in their order; HEX is the public key as `GET /api/events/keys` told it
when the server was trusted. A head that was kept then (from there, or an older export's last line) is looked for:
without one, a trail cut off at an older signature looks whole. Needs Python and `cryptography`, nothing of Packhouse.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Chain:
    """What was seen of the chain so far."""

    def __init__(self, key: bytes, heads: list[str]) -> None:
        self.key = Ed25519PublicKey.from_public_bytes(key)
        self.heads = {digest.lower(): number for number, _, digest in (head.partition(":") for head in heads)}
        self.seq, self.digest, self.events = -1, "", 0

    def read(self, lines: Iterator[dict[str, Any]]) -> Iterator[str]:
        """Read one export; yield a sentence for each thing that is wrong. Raises ValueError and such for no export."""
        start = next(lines)["start"]
        if start["filters"]:
            yield "it was filtered, so that it is no chain and cannot be checked"
        if self.seq >= 0 and (self.seq, self.digest) != (start["seq"], start["hash"]):
            yield f"it begins behind number {start['seq']}, not where the export before it ended ({self.seq})"
        self._at(start["seq"], start["hash"])
        for line in lines:
            if "head" in line:
                yield from self._end(line["head"], next(lines, None))
                return
            yield from self._event(line)
        yield f"it ends behind number {self.seq} without a head"

    def _at(self, seq: int, digest: str) -> None:
        self.seq, self.digest = seq, digest
        self.heads.pop(digest, None)

    def _event(self, line: dict[str, Any]) -> Iterator[str]:
        if line["seq"] != self.seq + 1:
            yield f"number {self.seq + 1} should be here, number {line['seq']} is"
        # what is hashed: the hash before it, and all of `event` as JSON without spaces, in UTF-8
        event = json.dumps(line["event"], ensure_ascii=False, separators=(",", ":")).encode()
        if hashlib.sha256(bytes.fromhex(self.digest) + event).hexdigest() != line["hash"]:
            yield f"number {line['seq']} does not follow from what is before it"
        if line["signature"] and not self._signed(line):
            yield f"number {line['seq']} bears a wrong signature"
        self._at(line["seq"], line["hash"])
        self.events += 1

    def _end(self, head: dict[str, Any], more: object) -> Iterator[str]:
        if (head["seq"], head["hash"], more) != (self.seq, self.digest, None):
            yield f"its head is number {head['seq']}, but it ends with number {self.seq}, or goes on behind the head"
        if head["seq"] and not (head["signature"] and self._signed(head)):
            yield f"its head, number {head['seq']}, is not signed with the key"

    def _signed(self, link: dict[str, Any]) -> bool:
        with suppress(InvalidSignature):
            self.key.verify(bytes.fromhex(link["signature"]), bytes.fromhex(link["hash"]))
            return True
        return False


def main() -> int:
    """Check the files that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--key", required=True, type=bytes.fromhex)
    parser.add_argument("--head", action="append", default=[], metavar="NUMBER:HASH")
    parser.add_argument("exports", nargs="+")
    given = parser.parse_args()
    chain, wrong = Chain(given.key, given.head), []
    for name in given.exports:
        try:
            with Path(name).open(encoding="utf-8") as file:
                wrong += [f"{name}: {sentence}" for sentence in chain.read(map(json.loads, file))]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RuntimeError) as error:
            wrong.append(f"{name}: it is no export, or was damaged behind number {chain.seq}: {error!r}")
    wrong += [f"the head with number {number} is in none of them" for number in chain.heads.values()]
    sys.stdout.write(
        "\n".join([*wrong, f"{chain.events} events, up to number {chain.seq}: {'WRONG' if wrong else 'whole'}\n"])
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
