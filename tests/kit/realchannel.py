"""A conda channel of real packages for client tests: Flask, requests, rich, what they need, and the running Python.

The wheels come from PyPI once per machine (pinned, kept in a folder below the system's temporary one) and are
repacked with the demo's code, so that real clients can solve, install and run what the channel offers.
"""

from __future__ import annotations

import atexit
import calendar
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from packhouse.cli.demo.channel import write_channel
from packhouse.cli.demo.python import python_packages
from packhouse.cli.demo.repack import Distribution, repack

PINS = (
    "blinker==1.9.0",
    "certifi==2026.10.18",
    "charset-normalizer==3.5.2",
    "click==8.5.1",
    "flask==3.1.3",
    "idna==3.20",
    "itsdangerous==2.2.0",
    "jinja2==3.1.6",
    "markdown-it-py==4.3.0",
    "markupsafe==3.0.4",
    "mdurl==0.1.2",
    "pip==26.3",
    "pygments==2.21.0",
    "requests==2.34.2",
    "rich==15.0.0",
    "urllib3==2.8.0",
    "werkzeug==3.1.9",
)
#: One folder per user and minor version of Python, since compiled wheels differ.
WHEELS = Path(tempfile.gettempdir()) / f"packhouse-wheels-{os.getuid()}-{sys.implementation.cache_tag}"


def build_real_channel(folder: Path) -> Path:
    """Fill `folder` with the channel (subdirs with `.conda` files and `repodata.json(.zst)`) and return it.

    Made once per process, then copied, so that a test may change its own. Raises RuntimeError when a wheel is neither
    kept here nor to be had from PyPI.
    """
    return Path(shutil.copytree(_built(), folder, dirs_exist_ok=True))


def wheels(pins: Sequence[str]) -> list[Path]:
    """Return the wheels of `name==version` pins, without their dependencies, asking PyPI for those not yet kept."""
    missing = [pin for pin in pins if not _kept(pin)]
    if missing:
        WHEELS.mkdir(exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=WHEELS) as fresh:
            _download(missing, Path(fresh))
            for wheel in Path(fresh).glob("*.whl"):
                wheel.replace(WHEELS / wheel.name)  # whole or not at all: test processes run side by side
    return [path for pin in pins for path in _kept(pin)]


def read_wheel(path: Path) -> Distribution:
    """Read a wheel (binary distribution format) for `repack`. Raises ValueError where it has a `.data` folder."""
    with zipfile.ZipFile(path) as archive:
        infos = [info for info in archive.infolist() if not info.is_dir()]
        site = {info.filename: archive.read(info) for info in infos}
    if any(".data/" in name for name in site):
        raise ValueError(f"{path.name} puts files outside site-packages, which the test kit does not repack")
    dist_info = next(name.split("/")[0] for name in site if name.endswith(".dist-info/METADATA"))
    newest = max(info.date_time for info in infos)
    return Distribution(dist_info, site, max(calendar.timegm((*newest, 0, 0, 0)), 1_000_000_000))


@functools.cache
def _built() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="packhouse-channel-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    packages = [repack(read_wheel(wheel)) for wheel in wheels(PINS)]
    write_channel(folder, [*python_packages(), *packages], lambda _line: None)
    return folder


def _kept(pin: str) -> list[Path]:
    name, _, version = pin.partition("==")
    return sorted(WHEELS.glob(f"{name.replace('-', '_')}-{version}-*.whl"))[:1]


def _download(pins: Sequence[str], folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "--isolated", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    process = subprocess.run(
        [*command, "--dest", str(folder), *pins],
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if process.returncode:
        raise RuntimeError(f"pip could not download {', '.join(pins)}: {process.stderr[-2000:]}")
