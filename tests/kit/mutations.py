"""Damage to packages, the same for the same seed: what disks, networks and enemies do to a file."""

from __future__ import annotations

import bz2
import io
import random
import zipfile
from collections.abc import Callable

from tests.kit.condapkg import zip_of

Mutation = Callable[[bytes, random.Random], bytes]


def truncated(data: bytes, chance: random.Random) -> bytes:
    """Cut the end off."""
    return data[: chance.randrange(len(data))]


def bits_flipped(data: bytes, chance: random.Random) -> bytes:
    """Flip one to twenty bits."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 20)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def end_flipped(data: bytes, chance: random.Random) -> bytes:
    """Flip bits in the last 300 bytes, where a zip has its directory."""
    keep = max(0, len(data) - 300)
    return data[:keep] + bits_flipped(data[keep:], chance)


def start_flipped(data: bytes, chance: random.Random) -> bytes:
    """Flip bits in the first 100 bytes, where magic numbers and the first header are."""
    return bits_flipped(data[:100], chance) + data[100:]


def piece_lost(data: bytes, chance: random.Random) -> bytes:
    """Take a piece out of the middle."""
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randint(1, 4096) :]


def piece_doubled(data: bytes, chance: random.Random) -> bytes:
    """Repeat a piece."""
    start = chance.randrange(len(data))
    end = start + chance.randint(1, 4096)
    return data[:end] + data[start:]


def noise_inserted(data: bytes, chance: random.Random) -> bytes:
    """Put random bytes somewhere."""
    start = chance.randrange(len(data) + 1)
    return data[:start] + chance.randbytes(chance.randint(1, 4096)) + data[start:]


def zeroed(data: bytes, chance: random.Random) -> bytes:
    """Overwrite a piece with zeros, as a disk does after a power cut."""
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.randint(1, 4096))
    return data[:start] + bytes(end - start) + data[end:]


def numbers_grown(data: bytes, chance: random.Random) -> bytes:
    """Overwrite four bytes with the largest number there is."""
    start = chance.randrange(max(1, len(data) - 4))
    return data[:start] + b"\xff\xff\xff\xff" + data[start + 4 :]


def tail_added(data: bytes, chance: random.Random) -> bytes:
    """Append something: zeros, noise, or the file itself."""
    return data + chance.choice((bytes(chance.randint(1, 2000)), chance.randbytes(500), data))


def members_reordered(data: bytes, chance: random.Random) -> bytes:
    """Shuffle, drop, double or rename the members of a zip; turn a bz2 around."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return bz2.compress(bz2.decompress(data)[:: chance.choice((1, -1))], 9)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    chance.shuffle(members)
    what = chance.randrange(4)
    if what == 0:
        members.pop()
    elif what == 1:
        members.append((members[0][0] + "x", members[0][1]))
    elif what == 2:
        members[0] = (chance.choice(("../", "/", "info/")) + members[0][0], members[0][1])
    return zip_of(members, chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


MUTATIONS: tuple[Mutation, ...] = (
    truncated,
    bits_flipped,
    end_flipped,
    start_flipped,
    piece_lost,
    piece_doubled,
    noise_inserted,
    zeroed,
    numbers_grown,
    tail_added,
    members_reordered,
)
