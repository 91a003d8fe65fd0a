"""The demo's upstream: a conda channel in a folder, made offline from what is installed beside Packhouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from packhouse.cli.demo.condafile import CondaPackage, compress, write_package
from packhouse.cli.demo.python import python_packages
from packhouse.cli.demo.repack import host_subdir, installed, repack

#: The light client's own dependencies, and pip, which conda adds to every environment with Python.
ROOTS = ("rich", "typer", "msgspec", "urllib3", "pip")


def build_upstream(folder: Path, progress: Callable[[str], None]) -> None:
    """Make a channel in `folder`: the running Python and the distributions of `ROOTS`, as real `.conda` files.

    `progress` is told each file written, in one line. Raises PackhouseError where Python cannot be repacked.
    """
    distributions = [repack(distribution) for distribution in installed(ROOTS)]
    write_channel(folder, [*python_packages(), *distributions], progress)


def write_channel(folder: Path, packages: Iterable[CondaPackage], progress: Callable[[str], None]) -> None:
    """Write packages and the `repodata.json(.zst)` of noarch and of this machine's subdir (CEP 26 names)."""
    records: dict[str, dict[str, Any]] = {"noarch": {}, host_subdir(): {}}
    with ThreadPoolExecutor(2) as pool:  # compression and hashing leave the interpreter lock
        for filename, record in pool.map(lambda package: write_package(package, folder), packages):
            records[record["subdir"]][filename] = record
            progress(f"{record['subdir']}/{filename} ({record['size'] / 1000:,.0f} kB)")
    for subdir, files in records.items():
        _write_index(folder / subdir, subdir, files)


def _write_index(folder: Path, subdir: str, files: dict[str, Any]) -> None:
    index = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": files, "repodata_version": 1}
    text = json.dumps(index, sort_keys=True).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "repodata.json").write_bytes(text)
    (folder / "repodata.json.zst").write_bytes(compress(text))
