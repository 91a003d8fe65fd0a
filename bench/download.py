"""Downloads by many clients, each with a token of a private channel: packages of 20 kB and 20 MB, and 304 on indexes.

nginx serves the same files from a folder, to anybody. devpi serves wheels of the same size. wrk keeps 16 connections.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

from bench.kit.context import Context
from bench.kit.http import Connection, send_all
from bench.kit.installation import Installation, filled
from bench.kit.load import wrk
from bench.kit.report import Line, median
from bench.peers.devpi import Devpi, make_wheel
from bench.peers.nginx import serve_folder
from tests.kit.condapkg import make_conda

FOLDER = "/api/repo/big/noarch"
SMALL_BYTES, LARGE_BYTES = 20_000, 20_000_000


def run(context: Context) -> Iterator[Line]:
    """Yield the lines for small and large files, conditional requests, and devpi's smaller world."""
    small = {f"small{number}-1-0.conda": _package(f"small{number}", SMALL_BYTES) for number in range(100)}
    large = {"large-1-0.conda": _package("large", LARGE_BYTES)}
    lines = {
        "small": Line("download 20 kB with a token, 100 files in turn", "/s", "≥ 25,000/s"),
        "large": Line("download 20 MB with a token", "/s", "at least nginx"),
        "shards": Line("304 on repodata_shards.msgpack.zst", "/s", "≥ 40,000/s"),
        "json": Line("304 on repodata.json.zst", "/s", "≥ 40,000/s"),
    }
    for setup in context.setups:
        for key, rate in _ours(context, setup, small, large).items():
            lines[key].ours[setup] = rate
    if context.peers:
        for key, rate in _nginx(context, small, large).items():
            lines[key].peers["nginx, open to all"] = rate
        devpi = Line("the same, beside a server with accounts", "/s", "-", dict(lines["small"].ours))
        devpi.peers["devpi"] = _devpi(context)
        yield lines.pop("small")
        yield devpi
    yield from lines.values()


def _ours(context: Context, setup: str, small: dict[str, bytes], large: dict[str, bytes]) -> dict[str, float]:
    installation = filled(context, setup, context.pick(1000, 10_000))
    with installation.serving() as connection:
        for filename, data in (small | large).items():
            if connection("PUT", f"{FOLDER}/{filename}", data).status not in (200, 201):
                raise RuntimeError(f"{filename} was not taken")
        rates = {
            "small": _rate(context, installation, [f"{FOLDER}/{one}" for one in small]),
            "large": _rate(context, installation, [f"{FOLDER}/{one}" for one in large]),
        }
        for key, name in (("shards", "repodata_shards.msgpack.zst"), ("json", "repodata.json.zst")):
            etag = connection("GET", f"{FOLDER}/{name}").headers["etag"]
            if connection("GET", f"{FOLDER}/{name}", if_none_match=etag).status != 304:
                raise RuntimeError(f"{name} was not answered with 304")
            rates[key] = _rate(context, installation, [f"{FOLDER}/{name}"], {"If-None-Match": etag})
    return rates


def _rate(context: Context, ours: Installation | int, paths: list[str], extra: dict[str, str] | None = None) -> float:
    port, headers = (ours, {}) if isinstance(ours, int) else (ours.port, ours.headers)
    headers = headers | {name: value.replace('"', '\\"') for name, value in (extra or {}).items()}
    seconds = 1 if context.small else 4
    wrk(port, paths, headers, 1, context.folder)  # warms up
    return median(wrk(port, paths, headers, seconds, context.folder).per_second for _ in range(context.rounds))


def _nginx(context: Context, small: dict[str, bytes], large: dict[str, bytes]) -> dict[str, float]:
    root: Path = context.folder / "static"
    root.mkdir()
    for filename, data in (small | large | {"index.zst": random.Random(0).randbytes(100_000)}).items():
        (root / filename).write_bytes(data)
    port = serve_folder(context, root)
    connection = Connection(port)
    etag = connection("HEAD", "/index.zst").headers["etag"]
    connection.close()
    conditional = _rate(context, port, ["/index.zst"], {"If-None-Match": etag})
    return {
        "small": _rate(context, port, [f"/{one}" for one in small]),
        "large": _rate(context, port, [f"/{one}" for one in large]),
        "shards": conditional,
        "json": conditional,
    }


def _devpi(context: Context) -> float:
    peer = Devpi(context)
    payload = random.Random(0).randbytes(SMALL_BYTES - 700)
    paths, requests = [], []
    for number in range(context.pick(3, 20)):
        data = make_wheel(f"small{number}", "1", payload)
        requests.append(peer.upload_request(f"small{number}", "1", data))
        paths.append(peer.file_path(f"small{number}", "1", data))
    asyncio.run(send_all(peer.port, requests, 1))
    rate = _rate(context, peer.port, paths)
    peer.stop()
    return rate


def _package(name: str, size: int) -> bytes:
    payload = random.Random(name).randbytes(size - 1000)
    return make_conda(name, "1", files={"share/data": payload})
