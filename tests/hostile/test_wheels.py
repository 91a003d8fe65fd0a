"""Hostile wheels are refused with a reason; unusual but honest ones are taken."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from packhouse.formats.base import Facts, Malformed
from packhouse.formats.python.inspect import inspect
from tests.kit import wheels as kit

HOSTILE = kit.hostile_wheels()
#: only an upload is refused for these: an upstream's file is shown as it is
FAULTS = {
    "record/missing-member", "record/surplus-member", "record/no-hash", "record/weak-hash",
    "metadata/requirement", "metadata/requires-python",
}  # fmt: skip


def _inspect(folder: Path, data: bytes, filename: str = kit.FILENAME) -> Facts:
    path = folder / "upload"
    path.write_bytes(data)
    return inspect(path, filename)


@pytest.mark.parametrize("key", sorted(HOSTILE.keys() - FAULTS))
def test_a_hostile_wheel_is_refused_with_a_reason(key: str, tmp_path: Path) -> None:
    started = time.process_time()
    with pytest.raises(Malformed) as refused:
        _inspect(tmp_path, HOSTILE[key])
    assert time.process_time() - started < 2
    message = str(refused.value)
    assert message.endswith(".") and 15 < len(message) < 400 and message.isprintable()


@pytest.mark.parametrize("key", sorted(FAULTS))
def test_an_author_s_fault_is_said(key: str, tmp_path: Path) -> None:
    fault = _inspect(tmp_path, HOSTILE[key]).fault
    assert fault.endswith(".") and 15 < len(fault) < 400 and fault.isprintable()


def test_the_file_name_decides_what_is_inside(tmp_path: Path) -> None:
    for filename in ("other-1.0-py3-none-any.whl", "demo-1.1-py3-none-any.whl", "demo-1.0-py3-any.whl", "demo.whl"):
        with pytest.raises(Malformed):
            _inspect(tmp_path, kit.make_wheel(), filename)


def test_a_source_distribution_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="build one"):
        _inspect(tmp_path, b"\x1f\x8b", "demo-1.0.tar.gz")


def test_unusual_wheels_are_taken(tmp_path: Path) -> None:
    members = kit.members_of({"demo/caf\u00e9.py": b"x", "demo/a,b.txt": b"y"})
    spelled = kit.make_wheel(info="Demo-1.0.0.dist-info", meta=kit.metadata("DEMO", "1.0.0"))
    signed = [*members, (f"{kit.INFO}/RECORD", kit.record_of(members)), (f"{kit.INFO}/RECORD.jws", b"{}")]
    with_folders = [("demo/", b""), *members, (f"{kit.INFO}/", b""), (f"{kit.INFO}/RECORD", kit.record_of(members))]
    latin = kit.make_wheel(meta=b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\nAuthor: Andr\xe9\n")
    for data in (kit.zipped(signed), kit.zipped(with_folders), kit.zipped(signed, 0), spelled, latin):
        assert _inspect(tmp_path, data).fault == ""
    assert _inspect(tmp_path, latin).sidecars == {}, "what is no UTF-8 cannot be kept as text, byte for byte"


def test_damage_is_never_overlooked(tmp_path: Path) -> None:
    """Every byte that is changed is refused or changes nothing that is said: there is no third."""
    good = kit.make_wheel({"demo/__init__.py": b"value = 1\n" * 20})
    told = _inspect(tmp_path, good)
    chance = random.Random(7)
    for _ in range(400):
        data = bytearray(good)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            assert _inspect(tmp_path, bytes(data)) == told
        except Malformed as refused:
            assert str(refused)
