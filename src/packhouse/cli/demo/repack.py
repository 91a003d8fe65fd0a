"""Turns Python distributions, installed here or unpacked from wheels, into real conda packages.

A distribution of pure Python becomes `noarch: python` with its entry points in `info/link.json` (conda makes the
commands at install time). One with compiled code becomes a package of this machine's subdir, bound to the running
minor version of Python, with its commands written out.
"""

from __future__ import annotations

import configparser
import email
import hashlib
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.message import Message
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from packhouse.cli.demo.condafile import PLACEHOLDER, CondaPackage, Member
from packhouse.cli.demo.requirements import canonical, constraint, depends
from packhouse.core.errors import PackhouseError

PYTHON = f"3.{sys.version_info.minor}"
SUBDIRS = {
    ("linux", "x86_64"): "linux-64",
    ("linux", "aarch64"): "linux-aarch64",
    ("linux", "ppc64le"): "linux-ppc64le",
    ("linux", "s390x"): "linux-s390x",
    ("darwin", "x86_64"): "osx-64",
    ("darwin", "arm64"): "osx-arm64",
}
#: Written by the installer that put the distribution here; true of that environment only.
INSTALL_NOTES = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
#: Licence classifiers that name exactly one SPDX identifier.
CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
COMMAND = "#!{placeholder}/bin/python\nimport sys\nfrom {module} import {first}\nsys.exit({function}())\n"


@dataclass(frozen=True, slots=True)
class Distribution:
    """The files of one distribution, wherever they lie.

    `site` maps paths below site-packages to bytes, `data` paths below the environment; `timestamp` is in seconds.
    """

    dist_info: str
    site: dict[str, bytes]
    timestamp: int
    data: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a file of the `.dist-info` folder as text, or nothing where it is missing."""
        return self.site.get(f"{self.dist_info}/{name}", b"").decode("utf-8", "replace")

    @property
    def pure(self) -> bool:
        """Whether every tag of `WHEEL` says that it runs on any platform (PEP 425)."""
        tags: list[str] = email.message_from_string(self.text("WHEEL")).get_all("Tag", [])
        return bool(tags) and all(tag.strip().endswith("-none-any") for tag in tags)


def host_subdir() -> str:
    """Return the conda subdir of this machine, for example `linux-64`.

    Raises PackhouseError where the demo cannot make packages that would run.
    """
    subdir = SUBDIRS.get((sys.platform, platform.machine()))
    if subdir is None or sys.implementation.name != "cpython":
        raise PackhouseError(
            "bad_request",
            f"The demo cannot repack {sys.implementation.name} on {sys.platform} {platform.machine()}.",
            "Run it with CPython on Linux or macOS, or start an empty server with `packhouse serve`.",
        )
    return subdir


def installed(roots: Iterable[str]) -> list[Distribution]:
    """Return the installed distributions named by `roots` and what they require, sorted by name.

    A name that is not installed here, is editable or came without a `RECORD` is left out.
    """
    found: dict[str, Distribution] = {}
    seen: set[str] = set()
    waiting = [canonical(name) for name in roots]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = read_installed(metadata.distribution(name))
        except metadata.PackageNotFoundError:
            continue
        if distribution is not None:
            found[name] = distribution
            waiting += [spec.split(" ")[0] for spec in depends(_metadata(distribution).get_all("Requires-Dist", []))]
    return [found[name] for name in sorted(found)]


def read_installed(source: metadata.Distribution) -> Distribution | None:
    """Read what `RECORD` lists (PEP 376); None for an editable install or one without a usable record."""
    site, data = {}, {}
    home, prefix = Path(str(source.locate_file(""))).resolve(), Path(sys.prefix).resolve()
    newest = 0
    if '"editable": true' in (source.read_text("direct_url.json") or ""):
        return None
    for listed in source.files or []:
        path = Path(str(source.locate_file(listed))).resolve()
        if path.suffix == ".pyc" or not path.is_file():
            continue
        if path.is_relative_to(home):
            site[path.relative_to(home).as_posix()] = path.read_bytes()
            newest = max(newest, int(path.stat().st_mtime))
        elif path.is_relative_to(prefix) and not path.is_relative_to(prefix / "bin"):  # commands are made anew
            data[path.relative_to(prefix).as_posix()] = path.read_bytes()
    info = next((path.split("/")[0] for path in site if path.endswith(".dist-info/METADATA")), None)
    return Distribution(info, site, newest, data) if info else None


def repack(distribution: Distribution) -> CondaPackage:
    """Turn a distribution into a conda package; equal files give an equal build string.

    Raises ValueError for requirements that are not PEP 508, PackhouseError for compiled code on an unknown platform.
    """
    about = _metadata(distribution)
    pure = distribution.pure
    site = "site-packages" if pure else f"lib/python{PYTHON}/site-packages"
    commands = _commands(distribution)
    members = [Member(f"{site}/{path}", data) for path, data in distribution.site.items() if _kept(path)]
    members += [Member(path, data) for path, data in distribution.data.items()]
    members.append(Member(f"{site}/{distribution.dist_info}/INSTALLER", b"conda\n"))
    if not pure:
        members += [_command(line) for line in commands]
    members.sort(key=lambda member: member.path)
    return CondaPackage(
        index=_index(distribution, about, pure, _digest(members)),
        about=_about(about),
        members=members,
        link=_link(commands) if pure else None,
        licenses=_licenses(distribution),
    )


def _metadata(distribution: Distribution) -> Message:
    return email.message_from_string(distribution.text("METADATA"))


def _kept(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return "__pycache__" not in parts and not (parts[0].endswith(".dist-info") and parts[-1] in INSTALL_NOTES)


def _digest(members: list[Member]) -> str:
    digest = hashlib.sha256()
    for member in members:
        digest.update(member.path.encode() + b"\0" + hashlib.sha256(member.data).digest())
    return digest.hexdigest()[:7]


def _index(distribution: Distribution, about: Message, pure: bool, digest: str) -> dict[str, Any]:
    index: dict[str, Any] = {
        "name": canonical(about["Name"]),
        "version": about["Version"].replace("-", "_"),
        "build": f"pyh{digest}_0" if pure else f"py3{sys.version_info.minor}h{digest}_0",
        "build_number": 0,
        "depends": [*_python(about, pure), *depends(about.get_all("Requires-Dist", []))],
        "license": _license(about),
        "timestamp": distribution.timestamp * 1000,
        "subdir": "noarch" if pure else host_subdir(),
    }
    return index | ({"noarch": "python", "arch": None, "platform": None} if pure else {})


def _python(about: Message, pure: bool) -> list[str]:
    if pure:
        return [f"python {constraint(about['Requires-Python'] or '')}".strip()]
    minor = sys.version_info.minor
    return [f"python >={PYTHON},<3.{minor + 1}.0a0", f"python_abi {PYTHON}.* *_cp3{minor}"]


def _license(about: Message) -> str:
    """Return the SPDX expression (PEP 639), else what the classifiers or a short `License` field say."""
    if about["License-Expression"]:
        return str(about["License-Expression"])
    for classifier in about.get_all("Classifier", []):
        name = classifier.rpartition("::")[2].strip()
        if classifier.startswith("License ::") and name in CLASSIFIERS:
            return CLASSIFIERS[name]
    text = (about["License"] or "").strip()
    return text if 0 < len(text) < 40 and "\n" not in text else "LicenseRef-Unknown"


def _about(about: Message) -> dict[str, Any]:
    urls = {}
    for line in about.get_all("Project-URL", []):
        label, _, url = line.partition(",")
        urls[re.sub(r"[\W_]", "", label).lower()] = url.strip()
    wanted = {
        "home": about["Home-page"] or urls.get("homepage") or urls.get("source"),
        "dev_url": urls.get("source") or urls.get("sourcecode") or urls.get("repository") or urls.get("github"),
        "doc_url": urls.get("documentation") or urls.get("docs"),
        "summary": about["Summary"],
        "description": str(about.get_payload()).strip(),
        "license": _license(about),
    }
    return {key: value for key, value in wanted.items() if value}


def _licenses(distribution: Distribution) -> list[Member]:
    """Copy the licence texts of `.dist-info` to `info/licenses`, one per file name."""
    texts = {}
    for path, data in distribution.site.items():
        parts = PurePosixPath(path).parts
        if parts[0] == distribution.dist_info and re.match(r"(?i)licen[cs]e|copying|notice", parts[-1]):
            texts[parts[-1]] = Member(f"info/licenses/{parts[-1]}", data)
    return list(texts.values())


def _commands(distribution: Distribution) -> list[str]:
    """Return `name = module:function` for each console script (entry points specification), without extras."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # the documented way to keep the case of names
    parser.read_string(distribution.text("entry_points.txt"))
    if not parser.has_section("console_scripts"):
        return []
    return [f"{name} = {target.split('[')[0].strip()}" for name, target in parser.items("console_scripts")]


def _link(commands: list[str]) -> dict[str, Any]:
    noarch: dict[str, Any] = {"type": "python"}
    if commands:
        noarch["entry_points"] = commands
    return {"noarch": noarch, "package_metadata_version": 1}


def _command(line: str) -> Member:
    name, _, target = line.partition(" = ")
    module, _, function = target.partition(":")
    text = COMMAND.format(placeholder=PLACEHOLDER, module=module, first=function.split(".")[0], function=function)
    return Member(f"bin/{name}", text.encode(), executable=True)
