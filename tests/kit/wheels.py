"""Tiny wheels in memory, well-formed and hostile, the same bytes on every run."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping

Files = Mapping[str, bytes]
Members = list[tuple[str, bytes]]
_DATE = (2024, 1, 1, 0, 0, 0)
WHEEL = b"Wheel-Version: 1.0\nGenerator: kit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
FILENAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"


def metadata(name: str = "demo", version: str = "1.0", fields: Iterable[str] = (), body: str = "") -> bytes:
    """A METADATA file; `fields` are whole lines."""
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *fields]
    return ("\n".join(lines) + "\n" + (f"\n{body}" if body else "")).encode()


def record_line(path: str, data: bytes, algorithm: str = "sha256") -> str:
    """The line of RECORD for a member."""
    digest = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
    quoted = f'"{path}"' if "," in path else path
    return f"{quoted},{algorithm}={digest},{len(data)}\n"


def record_of(members: Members, info: str = INFO) -> bytes:
    """The RECORD of members."""
    return ("".join(record_line(*one) for one in members) + f"{info}/RECORD,,\n").encode()


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with fixed dates; of a name that ends in `/` a folder."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, method)
    return out.getvalue()


def members_of(
    files: Files | None = None, meta: bytes | None = None, wheel: bytes | None = WHEEL, info: str = INFO
) -> Members:
    """The members of a wheel but RECORD."""
    payload = {"demo/__init__.py": b"x = 1\n"} if files is None else files
    parts = [*payload.items(), (f"{info}/METADATA", metadata() if meta is None else meta)]
    return parts if wheel is None else [*parts, (f"{info}/WHEEL", wheel)]


def make_wheel(files: Files | None = None, meta: bytes | None = None, info: str = INFO) -> bytes:
    """A valid wheel of the payload `files`, with a right RECORD."""
    members = members_of(files, meta, info=info)
    return zipped([*members, (f"{info}/RECORD", record_of(members, info))])


def _with_record(record: bytes, members: Members | None = None) -> bytes:
    return zipped([*(members or members_of()), (f"{INFO}/RECORD", record)])


def _changed(change: Callable[[bytearray], None]) -> bytes:
    data = bytearray(make_wheel())
    change(data)
    return bytes(data)


def _name_in_directory(data: bytearray) -> None:
    at = data.rindex(b"demo/__init__.py")
    data[at : at + 4] = b"evil"


def _content(data: bytearray) -> None:
    at = data.index(b"demo/__init__.py") + len(b"demo/__init__.py")
    data[at + 2] ^= 0xFF


def _link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("demo/link", _DATE)
        link.external_attr = 0o120777 << 16
        archive.writestr(link, b"/etc/passwd")
        for name, data in members_of():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    return out.getvalue()


def _lying_size() -> bytes:
    """A member that expands to more than both of its headers say."""
    data = bytearray(make_wheel({"demo/big.py": b"a" * 5000}))
    return bytes(data).replace(struct.pack("<I", 5000), struct.pack("<I", 50))


def _records() -> dict[str, bytes]:
    good = members_of()
    code = b"x = 1\n"
    right = record_of(good)
    return {
        "record/content": _with_record(right, [("demo/__init__.py", b"x = 2\n"), *good[1:]]),
        "record/size": _with_record(right.replace(b",6\n", b",7\n")),
        "record/missing-member": _with_record(right + record_line("demo/gone.py", code).encode()),
        "record/surplus-member": _with_record(right, [*good, ("demo/surplus.py", code)]),
        "record/no-hash": _with_record(right.replace(record_line(*good[0]).encode(), b"demo/__init__.py,,\n")),
        "record/weak-hash": _with_record(
            right.replace(record_line(*good[0]).encode(), record_line(*good[0], "md5").encode())
        ),
        "record/two-minds": _with_record(right + record_line("demo/__init__.py", b"other").encode()),
        "record/fields": _with_record(right + b"a,b\n"),
        "record/quotes": _with_record(right + b'"a,b\n'),
        "record/not-utf8": _with_record(right + b"\xff,,\n"),
        "record/nul": _with_record(right + b"a\0,,\n"),
        "record/size-no-number": _with_record(right.replace(b",6\n", b",six\n")),
        "record/absent": zipped(good),
    }


def _metadatas() -> dict[str, bytes]:
    fields = {
        "name": metadata("other"),
        "version": metadata(version="1.1"),
        "no-name": b"Metadata-Version: 2.1\nVersion: 1.0\n",
        "two-names": metadata(fields=["Name: demo"]),
        "nul": metadata(fields=["Summary: a\0b"]),
        "huge": metadata(body="x" * 2**20),
        "many-lines": metadata(fields=["A:"] * 60_000),
        "long-summary": metadata(fields=["Summary: " + "x" * 20_000]),
        "continues-none": b" Name: demo\n" + metadata(),
        "unreadable": b"From me\n" + metadata(),
        "requirement": metadata(fields=["Requires-Dist: !!"]),
        "requires-python": metadata(fields=["Requires-Python: snake"]),
        "requirements": metadata(fields=["Requires-Dist: a"] * 6000),
        "empty": b"",
    }
    return {f"metadata/{key}": make_wheel(meta=value) for key, value in fields.items()}


def _trees() -> dict[str, bytes]:
    names = {
        "climbs": "../evil.py",
        "climbs-inside": "demo/../../evil.py",
        "absolute": "/etc/evil.py",
        "drive": "C:evil.py",
        "backslash": "demo\\evil.py",
        "newline": "demo/a\nb.py",
        "deep": "d/" * 70 + "x.py",
        "long": "x" * 2000,
        "file-and-folder": "demo/__init__.py/x.py",
        "second-dist-info": "other-1.0.dist-info/METADATA",
    }
    found = {f"tree/{key}": make_wheel({"demo/__init__.py": b"x = 1\n", name: b"x"}) for key, name in names.items()}
    return found | {
        "tree/dist-info-of-another": make_wheel(info="other-1.0.dist-info"),
        "tree/dist-info-of-another-version": make_wheel(info="demo-2.0.dist-info"),
        "tree/no-dist-info": zipped([("demo/__init__.py", b"")]),
        "tree/no-metadata": zipped([(f"{INFO}/WHEEL", WHEEL), (f"{INFO}/RECORD", b"")]),
        "tree/no-wheel": zipped([*members_of(wheel=None), (f"{INFO}/RECORD", record_of(members_of(wheel=None)))]),
        "tree/wheel-2": zipped(members_of(wheel=WHEEL.replace(b"1.0", b"2.0"))),
        "tree/link": _link(),
        "tree/twice": _twice(),
    }


def _twice() -> bytes:
    good = make_wheel({"demo/a.py": b"x = 1\n", "demo/b.py": b"x = 2\n"})
    return good.replace(b"demo/b.py", b"demo/a.py")


def _zips() -> dict[str, bytes]:
    good = make_wheel()
    latin = make_wheel({"demo/caf\u00e9.py": b"x"})
    flag = struct.pack("<H", 0x800)
    return {
        "zip/empty": b"",
        "zip/no-zip": b"<html>no such file</html>",
        "zip/truncated": good[:-30],
        "zip/prefixed": b"#!/bin/sh\n" + good,
        "zip/followed": good + b"x",
        "zip/commented": good[:-2] + b"\x03\x00abc",
        "zip/two-in-one": make_wheel({"evil/__init__.py": b""}) + good,
        "zip/names-differ": _changed(_name_in_directory),
        "zip/damaged": _changed(_content),
        "zip/lying-size": _lying_size(),
        "zip/name-without-utf8-flag": latin.replace(flag + b"\x08\x00", b"\0\0\x08\x00"),
        "zip/bomb": make_wheel({"demo/zeros": bytes(80 * 2**20)}),
        "zip/bomb-of-many": make_wheel({f"demo/{number}": bytes(8 * 2**20) for number in range(12)}),
        "zip/lzma": zipped(members_of(), zipfile.ZIP_LZMA),
    }


def hostile_wheels() -> dict[str, bytes]:
    """Every class of hostile wheel; all are sent as `FILENAME`."""
    return _records() | _metadatas() | _trees() | _zips()
