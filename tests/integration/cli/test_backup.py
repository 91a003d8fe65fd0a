"""`packhouse backup`: the copy is an installation, only its user can read it, and nothing else is taken for one."""

from __future__ import annotations

import asyncio
import stat
import tomllib
from pathlib import Path

from packhouse.app import prepare
from packhouse.catalog.downloads.items import Wanted
from packhouse.catalog.downloads.store import open_items
from packhouse.core.db import open_database
from packhouse.core.settings import load
from packhouse.workflows.maintaining.belonging import require_own_store
from tests.conftest import Backend
from tests.kit.commands import run, serving
from tests.kit.house import open_house


def test_sign_in_and_the_certificate_are_copied_too_for_this_user_only(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for folder in (data, data / "tls", elsewhere, elsewhere / "secrets"):
        folder.mkdir(mode=0o700)
    asyncio.run(prepare(load({}, data_dir=data)))
    (data / "tls" / "self-signed.pem").write_text("a certificate")
    (elsewhere / "corp.toml").write_text(
        '[[provider]]\nkind = "oidc"\nclient_secret_file = "secrets/corp"\nca_file = "/etc/corp.pem"\n'
    )
    (elsewhere / "secrets" / "corp").write_text("hush")
    (elsewhere / "secrets" / "corp").chmod(0o644)
    (data / "packhouse.toml").write_text(f'identity_file = "{elsewhere}/corp.toml"\ntls_cert = "{tmp_path}/own.pem"\n')
    (end,) = run(tmp_path, ("backup", "--data", "data", "copy"))
    assert end.code == 0, end.err
    copy = tmp_path / "copy"
    assert (copy / "secrets" / "corp").read_text() == "hush"
    assert (copy / "identity.toml").read_text() == (elsewhere / "corp.toml").read_text()
    assert (copy / "tls" / "self-signed.pem").is_file()
    (copy / "tls" / "self-signed.pem").unlink()
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in copy.rglob("*")} == {0}
    assert load({}, data_dir=copy).identity_file == ""
    for file in ("/etc/corp.pem", f"{tmp_path}/own.pem"):
        assert f"Keep a copy of {file} as well" in end.out


async def test_a_copy_beside_a_live_server_is_an_installation(backend: Backend, tmp_path: Path) -> None:
    (backend.data_dir / "packhouse.toml").write_text(f'upload_bytes = 77777\nblob_url = "{backend.blob_url}"\n')
    async with open_house(backend) as house:
        await require_own_store(house.services)
        await house.channel("lab")
        await house.upload("lab", "numpy")
        assert (await house.web.get("/api/repo/lab/noarch/numpy-1.0-0.conda")).status == 200
        await house.server._counter.fold()
        names = {sha256 async for sha256, _ in house.services.blobs.iterate()}
        (end,) = run(tmp_path, ("backup", "copy"), env=backend.env)
    copy = tmp_path / "copy"
    if backend.name == "postgres+s3":
        assert end.code == 2 and "pg_dump" in end.err and "bucket" in end.err and not copy.exists()
        return
    assert end.code == 0, end.err
    assert "1 packages" in end.out and f"packhouse verify --data {copy}" in end.out
    assert "Unset PACKHOUSE_BLOB_URL" in end.out
    assert names == {path.name for path in copy.glob("blobs/??/*")}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    assert stat.S_IMODE((copy / "packhouse.db").stat().st_mode) == 0o600
    [month] = (copy / "packhouse-downloads").iterdir()
    assert stat.S_IMODE(month.stat().st_mode) == 0o600
    db = open_database(f"sqlite:///{copy}/packhouse.db")
    told = [item async for batch in open_items(db).read(Wanted(0, 2**52)) for item in batch]
    await db.close()
    assert len(told) == 1
    assert tomllib.loads((copy / "packhouse.toml").read_text()) == {"upload_bytes": 77777}
    assert load({}, data_dir=copy).blob_url == (copy / "blobs").as_uri()
    verify, again = run(tmp_path, ("verify", "--deep", "--data", "copy"), ("backup", "copy"), env={})
    assert verify.code == 0, verify.out + verify.err
    assert again.code == 2


def test_a_folder_without_an_installation_and_one_that_is_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (end,) = run(tmp_path, ("backup", "--data", "empty", "copy"))
    assert end.code == 2 and "There is no Packhouse in" in end.err
    assert list(tmp_path.rglob("*")) == [tmp_path / "empty"]
    with serving(tmp_path, "serve", "--port", "0", "--data", "data", "--no-worker"):
        pass
    (end,) = run(tmp_path, ("backup", "--data", "data", "empty"))
    assert end.code == 2 and "is there already" in end.err and not list((tmp_path / "empty").iterdir())
    for file in (tmp_path / "data").glob("packhouse.db*"):
        file.chmod(0o644)  # as a careless copy has them
    with serving(tmp_path, "serve", "--port", "0", "--data", "data", "--no-worker"):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").glob("packhouse.db*")}
    assert "packhouse.db-wal" in modes and set(modes.values()) == {0o600}
