"""Conda packages that must be refused, each a small variation of a good one, the same bytes on every run.

The key of a package says its container: `conda/…` is a `.conda`, `bz2/…` a `.tar.bz2`; `filename_of` gives the name
under which it is sent. Nothing here is large: bombs expand only when somebody reads them.
"""

from __future__ import annotations

import bz2
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

from tests.kit.condapkg import (
    OMIT,
    Files,
    conda_of,
    index_json,
    info_files,
    make_conda,
    make_tarbz2,
    pax,
    tar,
    tar_files,
    tar_header,
    tar_member,
    zip_of,
    zstd,
)

STEM = "demo-1.0-0"
_MIB = 1 << 20
_INFO = f"info-{STEM}.tar.zst"
_PKG = f"pkg-{STEM}.tar.zst"
_META = ("metadata.json", b'{"conda_pkg_format_version": 2}')


def filename_of(key: str) -> str:
    """Return the file name of a hostile package."""
    return STEM + (".tar.bz2" if key.startswith("bz2/") else ".conda")


def hostile_packages() -> dict[str, bytes]:
    """Return every class of hostile package."""
    groups = (_zips(), _zstds(), _tars(), _links(), _indexes(), _documents(), _bz2s())
    return {key: data for group in groups for key, data in group}


def _info(files: Files | None = None, **overrides: Any) -> dict[str, bytes]:
    return info_files("demo", "1.0", "0", "noarch", (), files or {}, **overrides)


def _parts() -> list[tuple[str, bytes]]:
    good = tar_files({"share/demo": b"x"})
    return [_META, (_PKG, zstd.compress(good, 3)), (_INFO, zstd.compress(tar_files(_info()), 3))]


def _with_pkg(pkg: bytes) -> bytes:
    """A package whose pkg part is the given tar."""
    return conda_of(STEM, tar_files(_info()), pkg)


def _with_members(*members: bytes) -> bytes:
    return _with_pkg(tar(members))


def _with_info(*members: bytes) -> bytes:
    return conda_of(STEM, tar(members), tar_files({}))


def _with_index(text: bytes) -> bytes:
    return conda_of(STEM, tar_files(_info() | {"info/index.json": text}), tar_files({}))


def _zips() -> Iterator[tuple[str, bytes]]:
    good = zip_of(_parts())
    directory = good.index(b"PK\1\2")
    end = good.rindex(b"PK\5\6")
    yield "conda/empty", b""
    yield "conda/not-a-zip", b"hello world, this is no package at all"
    yield "conda/a-tarbz2-in-disguise", make_tarbz2("demo", "1.0")
    yield "conda/truncated-half", good[: len(good) // 2]
    yield "conda/truncated-by-one", good[:-1]
    yield "conda/prefixed-data", b"#!/bin/sh\nexec evil\n" + good
    yield "conda/trailing-data", good + b"trailing"
    yield "conda/zip-comment", good[:-2] + b"\5\0hello"
    yield "conda/two-directories", good[:end] + good[directory:end] + good[end:]
    yield "conda/two-zips", good + good
    yield "conda/gap-before-directory", _shift_directory(good, directory, end)
    yield "conda/multi-disk", good[: end + 4] + b"\1\0" + good[end + 6 :]
    yield "conda/count-too-small", good[: end + 8] + b"\2\0\2\0" + good[end + 12 :]
    yield "conda/count-too-large", good[: end + 8] + b"\4\0\4\0" + good[end + 12 :]
    yield "conda/zip64-lies", _zip64_lie(good, end)
    yield "conda/compressed-outer", zip_of(_parts(), zipfile.ZIP_DEFLATED)
    yield "conda/encrypted-flag", _flip(good, directory, 8, 1)
    yield "conda/local-name-differs", good.replace(b"metadata.json", b"metadata.jsoN", 1)
    yield "conda/local-size-differs", good[:18] + b"\1\0\0\0" + good[22:]
    yield "conda/crc-of-metadata", good.replace(b"format_version", b"format_Version", 1)
    yield "conda/crc-of-pkg", _break_crc(good, _PKG)
    yield "conda/crc-of-info", _break_crc(good, _INFO)
    yield "conda/symlink-member", _mode(good, directory, 0o120777)
    yield "conda/overlapping-members", _overlap(good, directory)
    yield "conda/unicode-second-name", _unicode_extra()
    yield "conda/absolute-inner-name", zip_of([*_parts(), ("/etc/passwd", b"x")])
    yield "conda/dotdot-inner-name", zip_of([*_parts(), ("../../evil", b"x")])
    yield "conda/inner-name-twice", _twice()
    yield "conda/no-metadata", zip_of(_parts()[1:])
    yield "conda/no-info", zip_of(_parts()[:2])
    yield "conda/no-pkg", zip_of([_parts()[0], _parts()[2]])
    yield "conda/doubled-info", zip_of([*_parts(), ("info-other-1.0-0.tar.zst", _parts()[2][1])])
    yield "conda/doubled-pkg", zip_of([*_parts(), ("pkg-other-1.0-0.tar.zst", _parts()[1][1])])
    yield "conda/other-stem", zip_of([(name.replace("demo", "other"), data) for name, data in _parts()])
    yield "conda/format-version-3", zip_of([(_META[0], b'{"conda_pkg_format_version": 3}'), *_parts()[1:]])
    yield "conda/metadata-no-object", zip_of([(_META[0], b"[2]"), *_parts()[1:]])
    yield "conda/metadata-huge", zip_of([(_META[0], b" " * (1 << 20) + _META[1]), *_parts()[1:]])


def _flip(data: bytes, directory: int, at: int, bits: int) -> bytes:
    """Set flag bits of the first member, in its local header and in the directory."""
    out = bytearray(data)
    out[6] |= bits
    out[directory + at] |= bits
    return bytes(out)


def _mode(data: bytes, directory: int, mode: int) -> bytes:
    return data[: directory + 38] + struct.pack("<I", mode << 16) + data[directory + 42 :]


def _overlap(data: bytes, directory: int) -> bytes:
    """Make the second member of the directory start where the first does."""
    second = data.index(b"PK\1\2", directory + 4)
    return data[: second + 42] + struct.pack("<I", 0) + data[second + 46 :]


def _shift_directory(data: bytes, directory: int, end: int) -> bytes:
    out = bytearray(data[:directory] + b"hidden" + data[directory:])
    struct.pack_into("<I", out, end + 6 + 16, directory + 6)
    return bytes(out)


def _zip64_lie(data: bytes, end: int) -> bytes:
    """Add a zip64 end record that tells another number of members."""
    count, size, start = struct.unpack_from("<H2I", data, end + 10)
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count - 1, count - 1, size, start)
    return data[:end] + record + struct.pack("<4sIQI", b"PK\6\7", 0, end, 1) + data[end:]


def _break_crc(data: bytes, member: str) -> bytes:
    """Change the checksum of a member in the local header and in the directory alike."""
    name = member.encode()
    local, central = data.index(name) - 30, data.rindex(name) - 46
    out = bytearray(data)
    out[local + 14] ^= 0xFF
    out[central + 16] ^= 0xFF
    return bytes(out)


def _unicode_extra() -> bytes:
    info = zipfile.ZipInfo("metadata.json", (2024, 1, 1, 0, 0, 0))
    info.extra = struct.pack("<2HBI", 0x7075, 9, 1, 0) + b"evil"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, _META[1])
        for name, data in _parts()[1:]:
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data)
    return out.getvalue()


def _twice() -> bytes:
    return zip_of([*_parts(), ("metadata.jsoX", _META[1])]).replace(b"metadata.jsoX", b"metadata.json")


def _zstds() -> Iterator[tuple[str, bytes]]:
    good = tar_files({"share/demo": b"x" * 2000})
    frame = zstd.compress(good, 3)

    def packed(pkg: bytes) -> bytes:
        return zip_of([_META, (_PKG, pkg), _parts()[2]])

    yield "conda/zstd-empty", packed(b"")
    yield "conda/zstd-none", packed(good)
    yield "conda/zstd-gzip", packed(b"\x1f\x8b\x08\0" + b"\0" * 20)
    yield "conda/zstd-truncated", packed(frame[:-3])
    yield "conda/zstd-header-only", packed(frame[:6])
    yield "conda/zstd-bit-flip", packed(frame[:20] + bytes((frame[20] ^ 0x55,)) + frame[21:])
    yield "conda/zstd-trailing", packed(frame + b"trailing data")
    yield "conda/zstd-second-frame", packed(frame + zstd.compress(good, 3))
    yield "conda/zstd-skippable-frame", packed(frame + b"\x50\x2a\x4d\x18\4\0\0\0evil")
    yield "conda/zstd-window-2-gib", packed(b"\x28\xb5\x2f\xfd\0" + bytes((21 << 3,)) + b"\1\0\0")
    zeros = tar_header(b"share/zeros", 512 * _MIB)
    yield "conda/zstd-bomb", packed(_zstd_zeros(zeros, 512 * _MIB))
    info = tar_header(b"info/zeros", 512 * _MIB)
    yield "conda/zstd-bomb-in-info", zip_of([_META, _parts()[1], (_INFO, _zstd_zeros(info, 512 * _MIB))])


def _zstd_zeros(head: bytes, count: int) -> bytes:
    """One frame of `head` and `count` zeros, made without holding them."""
    stream = zstd.ZstdCompressor(level=1)
    pieces = [stream.compress(head)]
    pieces += [stream.compress(bytes(_MIB)) for _ in range(count >> 20)]
    return b"".join((*pieces, stream.compress(bytes(1024)), stream.flush()))


def _tars() -> Iterator[tuple[str, bytes]]:
    good = tar_member("share/demo", b"x")
    yield "conda/tar-empty", _with_pkg(b"")
    yield "conda/tar-no-end", _with_pkg(good)
    yield "conda/tar-cut-in-content", _with_pkg(tar_header(b"share/demo", 100_000) + b"x" * 2000)
    yield "conda/tar-cut-in-header", _with_pkg(good + tar_header(b"a")[:200])
    yield "conda/tar-checksum", _with_pkg(tar([b"z" + good[1:]]))
    yield "conda/tar-data-after-end", _with_pkg(tar([good]) + good + bytes(1024))
    yield "conda/tar-garbage", _with_pkg(b"garbage " * 256)
    yield "conda/tar-negative-size", _with_members(_sized(b"\xff" * 12))
    yield "conda/tar-size-not-octal", _with_members(_sized(b"00000000x12\0"))
    yield "conda/tar-size-2-to-80", _with_members(_sized(b"\x80\0" + b"\xff" * 10))
    for name in ("/etc/passwd", "../evil", "share/../../evil", "\\evil", "..\\evil", "C:/evil", "share/..\\..\\evil"):
        key = "".join(c if c.isalnum() else "_" for c in name)
        yield f"conda/tar-name{key}", _with_members(tar_member(name, b"x"))
    yield "conda/tar-name-not-utf8", _with_members(tar_member(b"share/\xff\xfe", b"x"))
    yield "conda/tar-name-nul", _with_members(pax({b"path": b"share/demo\0.txt"}), good)
    yield "conda/tar-name-empty", _with_members(tar_member(b"", b"x"))
    yield "conda/tar-name-long", _with_members(tar_member("share/" + "a" * 5000, b"x"))
    yield "conda/tar-name-deep", _with_members(tar_member("a/" * 500 + "b", b"x"))
    yield "conda/tar-name-twice", _with_members(good, good)
    yield "conda/tar-name-twice-normalised", _with_members(good, tar_member("./share//demo", b"y"))
    yield "conda/tar-folder-over-file", _with_members(good, tar_member("share/demo", kind=b"5"))
    for kind, word in ((b"3", "char-device"), (b"4", "block-device"), (b"6", "fifo"), (b"S", "gnu-sparse")):
        yield f"conda/tar-{word}", _with_members(tar_member("share/dev", kind=kind))
    yield "conda/tar-unknown-type", _with_members(tar_member("share/x", kind=b"Z"))
    yield "conda/tar-pax-sparse", _with_members(pax({b"GNU.sparse.major": b"1"}), good)
    yield (
        "conda/tar-pax-ill-formed",
        _with_members(tar_header(b"PaxHeader", 8, b"x") + b"99 a=b\n\n" + bytes(504), good),
    )
    yield "conda/tar-pax-key-twice", _with_members(_pax_twice(), good)
    yield "conda/tar-pax-twice", _with_members(pax({b"path": b"a"}), pax({b"path": b"b"}), good)
    yield "conda/tar-pax-huge", _with_members(pax({b"comment": b"x" * 200_000}), good)
    yield "conda/tar-pax-size-lie", _with_members(pax({b"size": b"99999999"}), good)
    yield "conda/tar-pax-binary-names", _with_members(pax({b"hdrcharset": b"BINARY"}), good)
    yield "conda/tar-pax-global-path", _with_members(pax({b"path": b"evil"}, b"g"), good)
    yield "conda/tar-long-name-and-pax", _with_members(_long(b"one"), pax({b"path": b"two"}), good)
    yield "conda/tar-long-name-alone", _with_members(_long(b"one"))
    yield (
        "conda/tar-gnu-incremental",
        _with_members(tar_header(b"share/demo", magic=b"ustar  \0", prefix=b"14545012400\0")),
    )
    yield "conda/tar-folder-with-content", _with_members(tar_header(b"share/", 512, b"5") + bytes(512))
    yield "conda/index-in-pkg", _with_members(tar_member("info/index.json", b"{}"))
    yield "conda/info-in-pkg", _with_members(tar_member("info/evil", b"{}"))
    yield (
        "conda/pkg-in-info",
        _with_info(*(tar_member(name, data) for name, data in _info().items()), tar_member("bin/evil", b"x")),
    )


def _sized(field: bytes) -> bytes:
    """A header whose size field holds these 12 bytes, with a right checksum."""
    head = tar_header(b"share/demo")
    head = head[:124] + field + head[136:148] + b" " * 8 + head[156:]
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


def _long(name: bytes) -> bytes:
    return tar_header(b"././@LongLink", len(name), b"L") + name + bytes(-len(name) % 512)


def _pax_twice() -> bytes:
    data = b"9 path=a\n9 path=b\n"
    return tar_header(b"PaxHeader", len(data), b"x") + data + bytes(-len(data) % 512)


def _links() -> Iterator[tuple[str, bytes]]:
    def link(name: str, target: str) -> bytes:
        return tar_member(name, kind=b"2", target=target.encode())

    def hard(name: str, target: str) -> bytes:
        return tar_member(name, kind=b"1", target=target.encode())

    good = tar_member("share/demo", b"x")
    yield "conda/link-absolute", _with_members(link("share/l", "/etc/passwd"))
    yield "conda/link-up", _with_members(link("share/l", "../../etc/passwd"))
    yield "conda/link-up-windows", _with_members(link("share/l", "..\\..\\evil"))
    yield "conda/link-drive", _with_members(link("share/l", "C:\\Windows"))
    yield "conda/link-empty", _with_members(link("share/l", ""))
    yield "conda/link-down-and-up", _with_members(link("share/l", "a/b/../../../../evil"))
    yield "conda/link-through-link", _with_members(link("x", "."), link("share/l", "../x/../../evil"))
    yield "conda/link-out-of-link", _with_members(link("x", "share/deep"), link("share/l", "../x/../demo"), good)
    yield "conda/link-then-write-through", _with_members(link("out", "share"), tar_member("out/evil", b"x"))
    yield "conda/link-then-folder", _with_members(link("out", "share"), tar_member("out", kind=b"5"))
    yield "conda/hardlink-outside", _with_members(hard("share/l", "../../etc/passwd"))
    yield "conda/hardlink-absolute", _with_members(hard("share/l", "/etc/passwd"))
    yield "conda/hardlink-to-nothing", _with_members(hard("share/l", "share/missing"))
    yield "conda/hardlink-to-itself", _with_members(hard("share/l", "share/l"))
    yield "conda/hardlink-to-link", _with_members(link("a/b/l", "../../x"), hard("l", "a/b/l"))
    yield "conda/link-with-content", _with_members(tar_header(b"l", 512, b"2", b"x") + bytes(512))
    yield (
        "conda/index-is-a-link",
        _with_info(
            tar_member("info/other.json", index_json("demo", "1.0", "0", "noarch", ())),
            tar_member("info/index.json", kind=b"2", target=b"other.json"),
        ),
    )


def _indexes() -> Iterator[tuple[str, bytes]]:
    good = index_json("demo", "1.0", "0", "noarch", ())

    def added(text: bytes) -> bytes:
        return _with_index(good[:-1] + b", " + text + b"}")

    yield "conda/no-index", conda_of(STEM, tar_files({"info/about.json": b"{}"}), tar_files({}))
    yield "conda/index-twice", _with_info(*[tar_member("info/index.json", good)] * 2)
    yield "conda/index-empty", _with_index(b"")
    yield "conda/index-list", _with_index(b"[]")
    yield "conda/index-not-json", _with_index(b"name: demo")
    yield "conda/index-utf16", _with_index(good.decode().encode("utf-16"))
    yield "conda/index-latin1", added(b'"summary": "\xe9"')
    yield "conda/index-trailing", _with_index(good + b"{}")
    yield "conda/index-key-twice", added(b'"name": "demo"')
    yield "conda/index-nan", added(b'"x": NaN')
    yield "conda/index-infinity", added(b'"x": -Infinity')
    yield "conda/index-float-overflow", added(b'"x": 1e999')
    yield "conda/index-int-too-large", added(b'"x": 18446744073709551616')
    yield "conda/index-int-of-5000-digits", added(b'"x": ' + b"9" * 5000)
    yield "conda/index-lone-surrogate", added(b'"x": "\\ud800"')
    yield "conda/index-lone-surrogate-key", added(b'"\\uDfff": 1')
    yield "conda/index-deep", added(b'"x": ' + b"[" * 60 + b"]" * 60)
    yield "conda/index-very-deep", added(b'"x": ' + b"[" * 100_000 + b"]" * 100_000)
    yield "conda/index-huge", _with_index(good + b" " * (5 * _MIB))
    yield "conda/index-long-text", added(b'"x": "' + b"a" * 100_000 + b'"')
    for key, value in (
        ("name", "other"),
        ("name", "Demo"),
        ("name", OMIT),
        ("name", 1),
        ("version", "2.0"),
        ("version", 1.0),
        ("build", "1"),
        ("build", None),
        ("subdir", "../evil"),
        ("subdir", "linux-z80"),
        ("subdir", 64),
        ("build_number", -1),
        ("build_number", "0"),
        ("build_number", True),
        ("build_number", 2**63),
        ("timestamp", "yesterday"),
        ("timestamp", -5),
        ("noarch", "ruby"),
        ("noarch", {}),
        ("depends", "python"),
        ("depends", {"python": 1}),
        ("depends", ["python", 3]),
        ("depends", [""]),
        ("depends", None),
        ("depends", ["x"] * 20_000),
        ("constrains", [None]),
        ("license", ["MIT"]),
    ):
        shown = "absent" if value is OMIT else json.dumps(value)[:12]
        index = {k: v for k, v in (json.loads(good) | {key: value}).items() if v is not OMIT}
        yield f"conda/index-{key}-is-{shown}", _with_index(json.dumps(index).encode())
    no_platform = index_json("demo", "1.0", "0", "linux-64", (), subdir=OMIT)
    yield "conda/index-no-subdir", _with_index(no_platform)


def _documents() -> Iterator[tuple[str, bytes]]:
    for name, text in (
        ("about", b"[]"),
        ("about", b'{"a": 1, "a": 2}'),
        ("run_exports", b'"python"'),
        ("run_exports", b'{"weak": "python"}'),
        ("run_exports", b"[1]"),
        ("security", b"{"),
        ("paths", b"{}"),
        ("paths", b'{"paths": [{"path": "x"}]}'),
        ("paths", b'{"paths": [{"_path": "share/missing"}]}'),
        ("paths", b'{"paths": [{"_path": "../../etc/passwd"}]}'),
    ):
        info = _info() | {f"info/{name}.json": text}
        yield f"conda/{name}-json-{text.decode()[:40]}", conda_of(STEM, tar_files(info), tar_files({}))


def _bz2s() -> Iterator[tuple[str, bytes]]:
    good = make_tarbz2("demo", "1.0")
    plain = bz2.decompress(good)
    yield "bz2/empty", b""
    yield "bz2/a-conda-in-disguise", make_conda("demo", "1.0")
    yield "bz2/uncompressed", plain
    yield "bz2/truncated", good[:-10]
    yield "bz2/bit-flip", good[:60] + bytes((good[60] ^ 0xFF,)) + good[61:]
    yield "bz2/trailing-garbage", good + b"garbage"
    yield "bz2/second-archive", good + good
    yield "bz2/bomb", _bz2_zeros(tar_header(b"share/zeros", 400 * _MIB), 400)
    yield "bz2/no-index", bz2.compress(tar_files({"share/x": b"x"}))
    yield "bz2/index-twice", bz2.compress(tar([plain[:-1024], tar_member("info/index.json", b"{}")]))
    yield "bz2/dotdot", bz2.compress(tar([plain[:-1024], tar_member("../evil", b"x")]))
    yield "bz2/absolute-link", bz2.compress(tar([plain[:-1024], tar_member("l", kind=b"2", target=b"/etc")]))
    yield "bz2/device", bz2.compress(tar([plain[:-1024], tar_member("dev", kind=b"3")]))
    yield "bz2/other-name", make_tarbz2("other", "1.0")


def _bz2_zeros(head: bytes, mebibytes: int) -> bytes:
    """`head` and many zeros, as streams of one mebibyte each."""
    return bz2.compress(head, 1) + bz2.compress(bytes(_MIB), 9) * mebibytes
