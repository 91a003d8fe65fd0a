"""A catalogue starts only beside its own store: no upload is acknowledged into the folder under a missing disk."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from packhouse.app import build_services, close, prepare
from packhouse.core.blobs import MARKER
from packhouse.core.errors import PackhouseError
from packhouse.core.settings import Settings, load
from packhouse.workflows.maintaining.belonging import require_own_store
from tests.conftest import Backend
from tests.kit.commands import run
from tests.kit.house import open_house
from tests.kit.services import S3


async def _stocked(backend: Backend) -> Settings:
    async with open_house(backend) as house:
        await require_own_store(house.services)  # as a command does at its start
        await house.channel("lab")
        await house.upload("lab", "numpy")
    return load(backend.env)


def _empty_store(backend: Backend, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the environment after the disk is gone from its mount point, or with the wrong bucket in the settings."""
    if backend.name == "sqlite+folder":
        folder = backend.data_dir / "blobs"
        shutil.rmtree(folder)
        folder.mkdir()
        return backend.env
    server: S3 = request.getfixturevalue("s3")
    return backend.env | {"PACKHOUSE_BLOB_URL": f"s3://{server.bucket()}"}


async def test_an_empty_store_is_not_that_of_a_catalogue_with_packages(
    backend: Backend, request: pytest.FixtureRequest
) -> None:
    await _stocked(backend)
    environ = _empty_store(backend, request)
    commands = [("serve", "--port", "0"), ("worker",), ("verify",), ("repair",), ("sweep",)]
    for words, end in zip(commands, run(backend.data_dir, *commands, env=environ), strict=True):
        assert end.code == 2, (words, end.err)
        assert "is not the store of this installation: it has no `packhouse-store`" in end.err
        assert "Mount its disk, or correct `blob_url`" in end.err


async def test_the_store_of_another_installation_is_refused_even_by_an_empty_catalogue(backend: Backend) -> None:
    services = build_services(load(backend.env))
    await services.blobs.mark("another")
    with pytest.raises(PackhouseError, match="is not the store of this installation: its `packhouse-store` names"):
        await prepare(load(backend.env))
    await close(services)


async def test_a_store_keeps_its_first_marker_and_starts_again(backend: Backend) -> None:
    settings = await _stocked(backend)
    await prepare(settings)
    services = build_services(settings)
    first = await services.blobs.marker()
    assert first is not None and await services.blobs.mark("another") == first
    assert [sha256 async for sha256, _ in services.blobs.iterate()].count(MARKER) == 0
    await close(services)


def test_a_packages_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    asyncio.run(prepare(load({}, data_dir=data)))
    shutil.rmtree(data / "blobs")
    serve, verify = run(tmp_path, ("serve", "--port", "0", "--data", "data"), ("verify", "--data", "data"))
    assert (serve.code, serve.err) == (verify.code, verify.err)
    assert "The folder of the packages" in serve.err and "Mount its disk" in serve.err
    assert not (data / "blobs").exists()
