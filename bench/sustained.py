"""Many uploads at once: 16 clients, each file another one of 4 kB, into a channel that holds 10,000 files.

Every 201 means installable, for us; for quetz too, since it writes its index before it takes the next request, but it
starts with an empty channel and gets few files, or it would never end. devpi takes wheels of the same size.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import count

from bench.kit.context import Context
from bench.kit.http import request, send_all
from bench.kit.installation import filled
from bench.kit.report import Line, median
from bench.peers import quetz
from bench.peers.devpi import Devpi, make_wheel
from tests.kit.condapkg import make_conda

CLIENTS = 16
PAYLOAD = bytes(range(256)) * 12
_NUMBERS = count()


def run(context: Context) -> Iterator[Line]:
    """Yield one line for our channel, with the peers on small ones."""
    records = context.pick(1000, 10_000)
    line = Line(f"uploads by {CLIENTS} clients, {records:,} files there", "/s", "≥ 400/s")
    for setup in context.setups:
        installation = filled(context, setup, records)
        with installation.serving():
            rates = []
            for _ in range(context.rounds + 1):
                many = [_ours(installation.headers, next(_NUMBERS)) for _ in range(context.pick(32, 800))]
                rates.append(_rate(installation.port, many))
            line.ours[setup] = median(rates[1:])  # the first round warms up
    if context.peers:
        line.peers["devpi"] = _devpi(context)
        line.peers["quetz"] = _quetz(context)
    yield line


def _ours(headers: dict[str, str], number: int) -> bytes:
    name, version = f"many{number % 500}", f"1.{number}"
    data = make_conda(name, version, files={"share/data": PAYLOAD})
    return request("PUT", f"/api/repo/big/noarch/{name}-{version}-0.conda", headers, data)


def _rate(port: int, requests: list[bytes]) -> float:
    begun = time.perf_counter()
    asyncio.run(send_all(port, requests, CLIENTS))
    return len(requests) / (time.perf_counter() - begun)


def _devpi(context: Context) -> float:
    peer = Devpi(context)
    many = [
        peer.upload_request(
            f"many{number % 20}", f"1.{number}", make_wheel(f"many{number % 20}", f"1.{number}", PAYLOAD)
        )
        for number in range(context.pick(10, 300))
    ]
    rate = _rate(peer.port, many)
    peer.stop()
    return rate


def _quetz(context: Context) -> float:
    peer = quetz.Quetz(context)
    peer.serve()
    many = []
    for number in range(context.pick(10, 200)):
        name, version = f"many{number % 20}", f"1.{number}"
        data = make_conda(name, version, files={"share/data": PAYLOAD})
        many.append(quetz.upload_request(f"{name}-{version}-0.conda", data))
    rate = _rate(peer.port, many)
    peer.stop()
    return rate
