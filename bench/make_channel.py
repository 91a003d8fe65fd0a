"""Makes a synthetic conda channel of any size that looks like a real one, for the benches.

    python bench/make_channel.py OUT --records 1000000                 # index only
    python bench/make_channel.py OUT --records 10000 --files all       # with a small real .conda file for each record

The same arguments give the same bytes. The shape follows public counts of conda-forge: about 25 records a name, spread
as Zipf's law says (a few names with thousands, most with a handful); pure Python in noarch, compiled packages for four
Pythons on three platforms; `.tar.bz2` before 2021 and `.conda` after (with files: `.conda` only). Dependencies point at
more popular names and at versions that exist, so that the newest of everything can be solved.
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from backports import zstd

from packhouse.cli.demo.condafile import CondaPackage, Member, write_package

PLATFORMS = ("linux-64", "osx-arm64", "win-64")
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
RECORDS_PER_NAME = 25
#: milliseconds: 2017-01, 2021-05 (when .conda became usual), 2026-09
START, CONDA_ERA, END = 1_483_228_800_000, 1_620_000_000_000, 1_790_000_000_000
POPULAR = """
    openssl libzlib numpy setuptools packaging six requests urllib3 certifi idna click jinja2 markupsafe pyyaml pandas
    scipy attrs pytz tqdm flask django pillow cryptography cffi rich pygments boto3 botocore sqlalchemy tornado
    matplotlib-base scikit-learn protobuf grpcio pyarrow aiohttp pydantic fastapi pytest ipython jupyterlab mlflow
"""
SYLLABLES = "an bio cal data dyn fast flow geo graph hyper kit lab lin log meta mini net node open para pipe plot poly"
LICENSES = {"MIT": 36, "BSD-3-Clause": 22, "Apache-2.0": 16, "GPL-3.0-or-later": 8, "LGPL-2.1-or-later": 4, "": 2}
LICENSES |= {"MPL-2.0": 3, "GPL (>= 2)": 3, "AGPL-3.0-only": 2, "BSD": 2, "PSF-2.0": 1, "LicenseRef-Proprietary": 1}
#: records of one version
VARIANTS = {"python": len(PLATFORMS), "pure": 1, "library": len(PLATFORMS), "compiled": len(PLATFORMS) * len(PYTHONS)}
KINDS = {"pure": 4, "library": 3, "compiled": 4}  # how often


@dataclass(frozen=True, slots=True)
class Name:
    """One package of the channel. `rank` 0 is the most popular; the dependencies of a name have lower ranks."""

    rank: int
    name: str
    kind: str
    versions: int

    def version(self, number: int) -> str:
        """Return the version of that number, rising from 0."""
        if self.kind == "python":
            return f"{PYTHONS[number % len(PYTHONS)]}.{number // len(PYTHONS)}"
        return f"{number // 20}.{number // 4 % 5}.{number % 4}"


def make_channel(out: Path, records: int, *, files: bool = False, seed: int = 0) -> None:
    """Write `repodata.json` and `.zst` of exactly `records` records over noarch and three platforms into `out`.

    With `files` every record is of a real, tiny `.conda` file that lies beside the index.
    """
    names = plan(records, seed)
    indexes = {subdir: _Index(out / subdir) for subdir in ("noarch", *PLATFORMS)}
    for name in sorted(names, key=lambda each: each.name):
        for record in records_of(name, names, seed):
            indexes[record["subdir"]].add(*(_file(record, out) if files else claim(record)))
    for index in indexes.values():
        index.close()


def plan(records: int, seed: int) -> list[Name]:
    """Return the names by rank, which have `records` records in all; Zipf's law says how many each. At least 36."""
    rng = random.Random(seed)
    names = [Name(0, "python", "python", 3 * len(PYTHONS))]
    left = records - names[0].versions * VARIANTS["python"]
    if left < 0:
        raise ValueError(f"a channel has at least {records - left} records: those of Python")
    scale = records / math.log((max(10, records // RECORDS_PER_NAME) + 20) / 20)
    while left:
        rank = len(names)
        share = min(left, max(1, round(scale / (rank + 20))))
        fitting = {kind: weight for kind, weight in KINDS.items() if VARIANTS[kind] <= share}
        kind = rng.choices(list(fitting), list(fitting.values()))[0]
        names.append(Name(rank, _spell(rank, rng), kind, share // VARIANTS[kind]))
        left -= names[rank].versions * VARIANTS[kind]
    return names


def _spell(rank: int, rng: random.Random) -> str:
    popular = POPULAR.split()
    if rank <= len(popular):
        return popular[rank - 1]
    return rng.choice(["", "", "py", "r-", "lib"]) + "".join(rng.choices(SYLLABLES.split(), k=2)) + f"{rank:x}"


def records_of(name: Name, names: list[Name], seed: int) -> Iterator[dict[str, Any]]:
    """Yield the records of one name, without size and hashes, oldest version first."""
    rng = random.Random(f"{seed}/{name.name}")
    needs = sorted(
        {int(name.rank * rng.random() ** 2.2) for _ in range(rng.choice((0, 1, 1, 2, 2, 3, 4, 6, 12)))} - {0}
    )
    licence = rng.choices(list(LICENSES), list(LICENSES.values()))[0]
    born = START + int((END - START) * 0.8 * rng.random())
    for number in range(name.versions):
        common: dict[str, Any] = {"name": name.name, "version": name.version(number), "build_number": 0}
        common["timestamp"] = born + (END - born) * (number + 1) // (name.versions + 1)
        if licence:
            common["license"] = licence
        depends = [_spec(names[rank], rng) for rank in needs]
        for variant in _variants(name.kind, f"h{rng.getrandbits(28):07x}"):
            yield {**common, **variant, "depends": [*variant["depends"], *depends]}


def _spec(need: Name, rng: random.Random) -> str:
    return need.name if rng.random() < 0.3 else f"{need.name} >={need.version(rng.randrange(need.versions))}"


def _variants(kind: str, digest: str) -> Iterator[dict[str, Any]]:
    """Yield what differs between the builds of one version: subdir, build string and the Python they are for."""
    if kind == "pure":
        yield {"subdir": "noarch", "noarch": "python", "build": f"py{digest}_0", "depends": ["python >=3.10"]}
        return
    for subdir in PLATFORMS:
        if kind != "compiled":
            yield {"subdir": subdir, "build": f"{digest}_0", "depends": []}
            continue
        for python in PYTHONS:
            major, minor = python.split(".")
            bound = f"python >={python},<{major}.{int(minor) + 1}.0a0"
            yield {"subdir": subdir, "build": f"py{major}{minor}{digest}_0", "depends": [bound]}


def claim(record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Give a record a file name, and the size and hashes of a file that does not exist."""
    stem = f"{record['name']}-{record['version']}-{record['build']}"
    rng = random.Random(f"{record['subdir']}/{stem}")
    extra = {"md5": f"{rng.getrandbits(128):032x}", "sha256": f"{rng.getrandbits(256):064x}"}
    size = int(rng.lognormvariate(12.3, 1.6)) + 900
    extension = ".conda" if record["timestamp"] >= CONDA_ERA else ".tar.bz2"
    return stem + extension, {**record, **extra, "size": size}


def _file(record: dict[str, Any], out: Path) -> tuple[str, dict[str, Any]]:
    """Write a real file for a record: one line of text that is its own."""
    text = f"{record['name']} {record['version']} {record['build']}\n".encode()
    member = Member(f"share/{record['name']}/{record['build']}.txt", text)
    link = {"noarch": {"type": "python"}, "package_metadata_version": 1} if "noarch" in record else None
    about = {"summary": f"Synthetic package {record['name']}", "license": record.get("license", "")}
    return write_package(CondaPackage(record, about, [member], link), out)


class _Index:
    """Writes one subdir's index as the records come: the two sections side by side, so that memory stays small."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "repodata.json"
        self._old, self._new = self._path.open("wb"), tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        self._old.write(b'{"info":{"subdir":"' + folder.name.encode() + b'"},"packages":{')
        self._started: set[Any] = set()

    def add(self, filename: str, record: dict[str, Any]) -> None:
        section = self._new if filename.endswith(".conda") else self._old
        section.write(b"," if section in self._started else b"")
        self._started.add(section)
        section.write(msgspec.json.encode(filename) + b":" + msgspec.json.encode(record, order="sorted"))

    def close(self) -> None:
        self._old.write(b'},"packages.conda":{')
        self._new.seek(0)
        shutil.copyfileobj(self._new, self._old, 1 << 20)
        self._old.write(b'},"removed":[],"repodata_version":1}')
        self._old.close()
        self._new.close()
        with self._path.open("rb") as source, zstd.open(f"{self._path}.zst", "wb", level=3) as target:
            shutil.copyfileobj(source, target, 1 << 20)


def main() -> None:
    """Make the channel that the command line asks for, and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write <subdir>/repodata.json(.zst) into")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--files", choices=("all", "none"), default="none")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.perf_counter()
    make_channel(options.out, options.records, files=options.files == "all", seed=options.seed)
    print(f"{options.records:,} records in {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    main()
