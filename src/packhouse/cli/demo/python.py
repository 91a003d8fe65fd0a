"""The running Python as conda packages, so that environments made from the demo's channel really run.

The result is for this machine only: it links the machine's own libraries. Never publish it.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packhouse.cli.demo.condafile import CondaPackage, Member
from packhouse.cli.demo.repack import PYTHON, host_subdir

TAG = f"cp3{sys.version_info.minor}"
#: Parts of the standard library that no environment of the demo needs: tests, IDLE, the static library.
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "__pycache__"} | {
    "idlelib",
    "idle_test",
    "turtledemo",
    "ensurepip",
    "lib2to3",
}
SITE_PACKAGES = f"lib/python{PYTHON}/site-packages"


def python_packages() -> list[CondaPackage]:
    """Return `python` of this machine's subdir and the noarch `python_abi` that goes with it.

    Raises PackhouseError where the running Python cannot be repacked.
    """
    subdir, stdlib = host_subdir(), Path(sysconfig.get_path("stdlib"))
    common = {"build_number": 0, "depends": [], "timestamp": int((stdlib / "os.py").stat().st_mtime) * 1000}
    python: dict[str, Any] = common | {
        "name": "python",
        "version": platform.python_version(),
        "build": "0_cpython",
        "constrains": [f"python_abi {PYTHON}.* *_{TAG}"],
        "license": "Python-2.0",
        "subdir": subdir,
    }
    abi: dict[str, Any] = common | {
        "name": "python_abi",
        "version": PYTHON,
        "build": f"0_{TAG}",
        "constrains": [f"python {PYTHON}.* *_cpython"],
        "license": "BSD-3-Clause",
        "subdir": "noarch",
        "noarch": "generic",
    }
    about = {"home": "https://www.python.org/", "license": "Python-2.0", "summary": "The Python that runs this demo"}
    members = [*_programs(Path(sys.base_prefix)), *_standard_library(stdlib), *_site_packages()]
    return [CondaPackage(python, about, members), CondaPackage(abi, {"summary": "Selects the ABI of Python"})]


def _programs(base: Path) -> Iterator[Member]:
    yield Member(f"bin/python{PYTHON}", _relocatable((base / f"bin/python{PYTHON}").read_bytes(), base), True)
    yield Member("bin/python3", target=f"python{PYTHON}")
    yield Member("bin/python", target=f"python{PYTHON}")
    for library in (base / "lib").glob(f"libpython{PYTHON}*"):
        if not library.is_symlink() and library.suffix != ".a":
            yield Member(f"lib/{library.name}", library.read_bytes(), True)


def _relocatable(program: bytes, base: Path) -> bytes:
    """Let an ELF program look for libpython beside itself: overwrite its absolute run path, padded to its length."""
    absolute, relative = f"{base}/lib".encode() + b"\0", b"$ORIGIN/../lib\0"
    if not program.startswith(b"\x7fELF") or len(absolute) < len(relative):
        return program
    return program.replace(absolute, relative.ljust(len(absolute), b"\0"))


def _standard_library(stdlib: Path) -> Iterator[Member]:
    target = f"{sys.platlibdir}/python{PYTHON}"
    for root, folders, files in os.walk(stdlib):
        folders[:] = sorted(set(folders) - LEFT_OUT - {name for name in folders if name.startswith("config-")})
        for path in (Path(root, name) for name in sorted(files)):
            if path.is_file() and path.suffix not in (".pyc", ".a"):
                relative = path.relative_to(stdlib).as_posix()
                yield Member(f"{target}/{relative}", path.read_bytes(), path.suffix == ".so")


def _site_packages() -> Iterator[Member]:
    yield Member(f"{SITE_PACKAGES}/README.txt", b"Third-party packages are installed here.\n")
    # Debian's Python looks in dist-packages only; others never read this file.
    yield Member(f"lib/python{PYTHON}/dist-packages/site-packages.pth", b"../site-packages\n")
