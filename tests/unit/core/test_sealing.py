"""Sealed bytes open only unaltered, for what they were sealed for, and under the same key."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.core.errors import PackhouseError
from packhouse.core.sealing import KEY_FILE, Sealer
from packhouse.core.settings import load

KEY = "0f" * 32


def sealer(key: str = KEY, folder: Path = Path("nowhere")) -> Sealer:
    return Sealer(load({}, data_dir=folder, secret_key=key))


def refused(opener: Sealer, sealed: bytes, about: str) -> None:
    with pytest.raises(PackhouseError) as caught:
        opener.open(sealed, about)
    assert caught.value.code == "internal"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_again_and_is_never_sealed_the_same_way(data: bytes, about: str) -> None:
    first, second = sealer().seal(data, about), sealer().seal(data, about)
    assert sealer().open(first, about) == sealer().open(second, about) == data
    assert first != second and (len(data) < 8 or data not in first)


@given(st.data())
def test_nothing_else_opens_it(data: st.DataObject) -> None:
    sealed = sealer().seal(b"JBSWY3DPEHPK3PXP", "totp 7")
    place = data.draw(st.integers(0, len(sealed) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    refused(sealer(), sealed[:place] + bytes([sealed[place] ^ bit]) + sealed[place + 1 :], "totp 7")
    refused(sealer(), sealed[:place], "totp 7")
    refused(sealer(), sealed, "totp 8")  # a row's value put into another row
    refused(sealer("f0" * 32), sealed, "totp 7")


def test_of_many_starting_processes_one_makes_the_key_and_all_use_it(tmp_path: Path) -> None:
    makers = [sealer("", tmp_path) for _ in range(16)]
    assert not makers[0].has_key
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(Sealer.make_key, makers))
    assert len({maker.fingerprint for maker in makers}) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    as_setting = sealer((tmp_path / KEY_FILE).read_text().strip())
    assert as_setting.open(makers[3].seal(b"seed", "a"), "a") == b"seed"


def test_a_key_that_others_may_read_is_taken_from_them(tmp_path: Path) -> None:
    sealer("", tmp_path).make_key()
    (tmp_path / KEY_FILE).chmod(0o644)
    sealer("", tmp_path).seal(b"seed", "a")
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_without_a_key_nothing_is_sealed_and_a_damaged_one_is_not_made_anew(tmp_path: Path) -> None:
    with pytest.raises(PackhouseError, match="cannot be read"):
        sealer("", tmp_path).seal(b"seed", "a")
    (tmp_path / KEY_FILE).write_text("0f0f\n")
    damaged = sealer("", tmp_path)
    damaged.make_key()
    with pytest.raises(PackhouseError, match="64 hexadecimal digits"):
        damaged.seal(b"seed", "a")
    assert (tmp_path / KEY_FILE).read_text() == "0f0f\n"


def test_no_text_shows_the_key(tmp_path: Path) -> None:
    assert KEY not in repr(sealer()) and KEY not in sealer().origin
    with pytest.raises(PackhouseError) as caught:
        load({"PACKHOUSE_SECRET_KEY": KEY + "0"})
    assert KEY not in str(caught.value)
