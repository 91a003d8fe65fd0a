"""Hostile conda packages are refused with a reason; unusual but honest ones are taken."""

from __future__ import annotations

import bz2
import io
import random
import resource
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.formats.archives.limits import Limits
from packhouse.formats.archives.sandbox import Sandbox
from packhouse.formats.base import Malformed
from packhouse.formats.conda.inspect import inspect
from tests.kit import condapkg as kit
from tests.kit.hostile_condapkg import STEM, filename_of, hostile_packages

HOSTILE = hostile_packages()
#: what is unpacked or read for ever takes longer
SECONDS = 60


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_package_is_refused_with_a_reason(key: str, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(HOSTILE[key])
    started = time.monotonic()
    with pytest.raises(Malformed) as refused:
        inspect(path, filename_of(key))
    assert time.monotonic() - started < SECONDS
    message = str(refused.value)
    assert message.endswith(".") and 15 < len(message) < 400 and message.isprintable()


async def test_the_limited_process_says_the_same(tmp_path: Path) -> None:
    sandbox = Sandbox()
    try:
        for key in list(HOSTILE)[::9]:
            path = tmp_path / "upload"
            path.write_bytes(HOSTILE[key])
            with pytest.raises(Malformed) as here:
                inspect(path, filename_of(key))
            with pytest.raises(Malformed) as there:
                await sandbox.inspect(path, filename_of(key))
            assert str(here.value) == str(there.value)
    finally:
        sandbox.close()


def test_bombs_cost_little_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for key in ("conda/zstd-bomb", "conda/zstd-bomb-in-info", "bz2/bomb"):
        path = tmp_path / "bomb"
        path.write_bytes(HOSTILE[key])
        with pytest.raises(Malformed, match="bomb"):
            inspect(path, filename_of(key))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(members=10), "more than 10 members"),
        (Limits(file_size=100), "at most 100 are read"),
        (Limits(expanded=4096), "more than 4,096 bytes"),
        (Limits(links=2), "more than 2 links"),
        (Limits(name_length=10), "longer than 10 bytes"),
    ],
)
def test_every_limit_is_kept(limits: Limits, reason: str, tmp_path: Path) -> None:
    files = [kit.tar_member(f"share/file-{number}", b"x") for number in range(20)]
    files += [kit.tar_member(f"l{number}", kind=b"2", target=b"share/file-1") for number in range(5)]
    path = tmp_path / "package"
    path.write_bytes(kit.conda_of(STEM, kit.tar_files(_info()), kit.tar(files)))
    assert inspect(path, f"{STEM}.conda").file_count == 25
    with pytest.raises(Malformed, match=reason):
        inspect(path, f"{STEM}.conda", limits)


@pytest.mark.parametrize("make", [kit.make_conda, kit.make_tarbz2])
def test_damaged_packages_never_break_the_reader(make: Callable[..., bytes], tmp_path: Path) -> None:
    """Seeded mutations of a good package: taken or refused, but nothing else."""
    good = make("demo", "1.0", files={f"lib/f{i}.py": bytes(range(256)) * i for i in range(5)} | {"bin/demo": b"#!x"})
    extension = "conda" if good.startswith(b"PK") else "tar.bz2"
    chance = random.Random(20260101)
    path = tmp_path / "package"
    refused = 0
    for _ in range(400):
        path.write_bytes(_mutated(good, chance))
        try:
            inspect(path, f"{STEM}.{extension}")
        except Malformed:
            refused += 1
    assert refused > 300


def test_damaged_tars_never_break_the_reader(tmp_path: Path) -> None:
    """The same, with the damage inside the compressed stream, where no checksum stops it before us."""
    info, pkg = kit.tar_files(_info()), kit.tar_files({"bin/demo": b"#!x", "lib/a.pth": b"import os", "l" * 150: b"x"})
    chance = random.Random(7)
    path = tmp_path / "package"
    for _ in range(400):
        path.write_bytes(kit.conda_of(STEM, _mutated(info, chance), _mutated(pkg, chance)))
        try:
            inspect(path, f"{STEM}.conda")
        except Malformed as error:
            assert str(error)


def _mutated(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(out))
        match chance.randrange(5):
            case 0:
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                del out[at:]
            case 2:
                del out[at : at + chance.randrange(1, 600)]
            case 3:
                out[at:at] = out[at : at + chance.randrange(1, 600)]
            case 4:
                out[at : at + 4] = chance.randbytes(4)
        if not out:
            return b""
    return bytes(out)


# ---------------------------------------------------------------- the benign set


def _info(**overrides: object) -> dict[str, bytes]:
    return kit.info_files("demo", "1.0", "0", "noarch", (), {}, **overrides)


def _pkg(*members: bytes) -> bytes:
    return kit.conda_of(STEM, kit.tar_files(_info()), kit.tar(members))


def _python_tar(format: int) -> bytes:
    """A tar as the standard library writes it, with everything that packages have."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, data in (("lib/ü" + "long" * 40 + "/mod.py", b"x = 1"), ("bin/demo", b"#!/bin/sh"), ("empty", b"")):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            member.mtime = 1_700_000_000.5 if format == tarfile.PAX_FORMAT else 1_700_000_000
            archive.addfile(member, io.BytesIO(data))
        for name, kind, target in (
            ("bin/link", tarfile.SYMTYPE, "demo"),
            ("bin/up", tarfile.SYMTYPE, "../lib/" + "deep/" * 30 + "x"),
            ("bin/hard", tarfile.LNKTYPE, "bin/demo"),
            ("etc", tarfile.DIRTYPE, ""),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    return out.getvalue()


def _zip(parts: list[tuple[str, bytes]], *, zip64: bool = False, streamed: bool = False) -> bytes:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]  # narrower, as zipfile writes bytes only
            self.data += data
            return len(data)

    pipe, whole = Pipe(), io.BytesIO()
    with zipfile.ZipFile(pipe if streamed else whole, "w") as archive:
        for name, data in parts:
            with archive.open(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), "w", force_zip64=zip64) as member:
                member.write(data)
    return pipe.data if streamed else whole.getvalue()


def _benign() -> dict[str, bytes]:
    parts = [
        ("metadata.json", b'{"conda_pkg_format_version": 2}'),
        (f"pkg-{STEM}.tar.zst", kit.zstd.compress(kit.tar_files({"share/x": b"x"}), 3)),
        (f"info-{STEM}.tar.zst", kit.zstd.compress(kit.tar_files(_info()), 19)),
    ]
    info = kit.tar_files(_info())
    return {
        "smallest": kit.make_conda("demo", "1.0", files={}),
        "usual": kit.make_conda("demo", "1.0"),
        "usual-bz2": kit.make_tarbz2("demo", "1.0"),
        "zip64-sizes": _zip(parts, zip64=True),
        "streamed-zip": _zip(parts, streamed=True),
        "streamed-zip64": _zip(parts, streamed=True, zip64=True),
        "info-first": _zip(parts[::-1]),
        "zstd-22": _zip([parts[0], (parts[1][0], kit.zstd.compress(kit.tar_files({"a": b"b"}), 22)), parts[2]]),
        "zstd-no-content-size": _zip([parts[0], (parts[1][0], _streamed_zstd(kit.tar_files({"a": b"b"}))), parts[2]]),
        "ustar": kit.conda_of(STEM, info, _python_tar(tarfile.PAX_FORMAT)),
        "gnu": kit.conda_of(STEM, info, _python_tar(tarfile.GNU_FORMAT)),
        "dot-slash-names": _pkg(kit.tar_member("./", kind=b"5"), kit.tar_member("./share/x", b"x")),
        "folder-twice": _pkg(kit.tar_member("share/", kind=b"5"), kit.tar_member("share/", kind=b"5")),
        "folder-v7": _pkg(kit.tar_header(b"share/", kind=b"\0"), kit.tar_header(b"share/x", kind=b"\0")),
        "dots-in-names": _pkg(kit.tar_member("share/..hidden", b"x"), kit.tar_member("share/a..b/...", b"y")),
        "colon-in-name": _pkg(kit.tar_member("man/File::Copy.3", b"x")),
        "backslash-in-name": _pkg(kit.tar_member("units/dev-disk\\x2dby.swap", b"x")),
        "unicode-name": _pkg(kit.tar_member("share/naïve-日本.txt", b"x")),
        "spaces-and-quotes": _pkg(kit.tar_member('share/it\'s a "file".txt', b"x")),
        "case-differs": _pkg(kit.tar_member("share/A", b"x"), kit.tar_member("share/a", b"y")),
        "link-inside": _pkg(kit.tar_member("lib/libx.so", kind=b"2", target=b"libx.so.1")),
        "link-to-missing": _pkg(kit.tar_member("lib/l", kind=b"2", target=b"../share/missing")),
        "link-with-inner-dots": _pkg(kit.tar_member("lib/l", kind=b"2", target=b"pkg/../libx.so")),
        "link-to-root": _pkg(kit.tar_member("lib/l", kind=b"2", target=b"..")),
        "hardlink": _pkg(kit.tar_member("bin/a", b"x"), kit.tar_member("bin/b", kind=b"1", target=b"bin/a")),
        "global-pax-comment": _pkg(kit.pax({b"comment": b"abc"}, b"g"), kit.tar_member("a", b"x")),
        "pax-utf8-charset": _pkg(kit.pax({b"hdrcharset": b"ISO-IR 10646 2000 UTF-8"}), kit.tar_member("a", b"x")),
        "much-padding": kit.conda_of(STEM, info, kit.tar_files({"a": b"x"}) + bytes(10240)),
        "one-zero-block": kit.conda_of(STEM, info, kit.tar_files({"a": b"x"})[:-512]),
        "large-zeros-in-small-archive": _pkg(kit.tar_member("zeros", bytes(8 << 20))),
        "pth-of-paths": kit.make_conda("demo", "1.0", files={"site-packages/a.pth": b"../lib\n"}),
        "unknown-index-keys": kit.make_conda("demo", "1.0", purls=["pkg:pypi/demo"], extra={"x": [1.5, None, True]}),
        "surrogate-pair": kit.make_conda("demo", "1.0", info={"info/about.json": b'{"summary": "\\ud83d\\ude00"}'}),
        "noarch-true": kit.make_conda("demo", "1.0", noarch=True),
        "noarch-python": kit.make_conda("demo", "1.0", noarch="python"),
        "license-null": kit.make_conda("demo", "1.0", license=None),
        "run-exports-list": kit.make_conda("demo", "1.0", info={"info/run_exports.json": b'["demo >=1"]'}),
        "no-about-no-paths": kit.conda_of(
            STEM, kit.tar_files({"info/index.json": _info()["info/index.json"]}), kit.tar(())
        ),
        "index-with-bom-free-unicode": kit.make_conda("demo", "1.0", license="Licença™"),
        "bz2-parallel-streams": _parallel_bz2(),
        "bz2-level-9": bz2.compress(bz2.decompress(kit.make_tarbz2("demo", "1.0")), 9),
        "bz2-info-last": bz2.compress(kit.tar_files({"share/x": b"x"} | _info())),
        "bz2-no-subdir": kit.make_tarbz2("demo", "1.0", subdir="linux-64", info={"info/index.json": _old_index()}),
    }


def _old_index() -> bytes:
    return (
        b'{"arch": "x86_64", "build": "0", "build_number": 0, "depends": [], "name": "demo", "platform": "linux",'
        b' "version": "1.0"}'
    )


def _streamed_zstd(data: bytes) -> bytes:
    stream = kit.zstd.ZstdCompressor(3)
    return stream.compress(data) + stream.flush()


def _parallel_bz2() -> bytes:
    plain = bz2.decompress(kit.make_tarbz2("demo", "1.0"))
    return b"".join(bz2.compress(plain[at : at + 700]) for at in range(0, len(plain), 700))


BENIGN = _benign()


@pytest.mark.parametrize("key", BENIGN)
def test_an_honest_package_is_taken(key: str, tmp_path: Path) -> None:
    filename = f"{STEM}.{'tar.bz2' if BENIGN[key].startswith(b'BZh') else 'conda'}"
    path = tmp_path / filename
    path.write_bytes(BENIGN[key])
    facts = inspect(path, filename)
    assert facts.coordinate.name == "demo" and facts.record["version"] == "1.0"
    assert not facts.install_code


def test_the_sets_are_as_large_as_promised() -> None:
    assert len(HOSTILE) >= 120 and len(BENIGN) >= 40
