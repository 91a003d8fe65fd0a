"""An installation has one key for what it seals: a process with another one, or without it, does not start."""

from __future__ import annotations

import asyncio
import shutil
import stat
from pathlib import Path

import pytest

from packhouse.app import build_services, close, prepare
from packhouse.core.errors import PackhouseError
from packhouse.core.sealing import KEY_FILE
from packhouse.core.settings import load
from tests.conftest import Backend
from tests.kit.commands import run


async def test_another_machine_without_the_key_or_with_another_one_is_refused(backend: Backend, tmp_path: Path) -> None:
    env = {**backend.env, "PACKHOUSE_SECRET_KEY": ""}
    await prepare(load(env))
    key = backend.data_dir / KEY_FILE
    other = env | {"PACKHOUSE_DATA_DIR": str(tmp_path / "other")}
    for settings, what in (
        (load(other), "is missing"),
        (load(other, secret_key="ab" * 32), "is not the key that this installation began with"),
    ):
        with pytest.raises(PackhouseError, match=what) as caught:
            await prepare(settings)
        assert caught.value.code == "conflict" and "ab" * 32 not in str(caught.value)
        assert "or set `secret_key` to what it says" in caught.value.hint
        assert not (tmp_path / "other" / KEY_FILE).exists()
    (ended,) = run(tmp_path, ("worker",), env=other)
    assert ended.code == 2 and "is missing" in ended.err
    await prepare(load(other, secret_key=key.read_text().strip()))
    shutil.copy(key, tmp_path / "other")
    await prepare(load(other))


async def test_what_one_process_sealed_the_next_one_opens(backend: Backend) -> None:
    await prepare(load(backend.env))
    first, second = build_services(load(backend.env)), build_services(load(backend.env))
    assert second.sealer.open(first.sealer.seal(b"seed", "totp 1"), "totp 1") == b"seed"
    for services in (first, second):
        await close(services)


def test_a_backup_has_the_key(tmp_path: Path) -> None:
    asyncio.run(prepare(load({}, data_dir=tmp_path / "data")))
    (ended,) = run(tmp_path, ("backup", "--data", "data", "copy"))
    assert ended.code == 0, ended.err
    key = (tmp_path / "data" / KEY_FILE).read_text()
    assert (tmp_path / "copy" / KEY_FILE).read_text() == key
    assert stat.S_IMODE((tmp_path / "copy" / KEY_FILE).stat().st_mode) == 0o600
    asyncio.run(prepare(load({}, data_dir=tmp_path / "copy")))
