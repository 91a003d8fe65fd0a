"""Requests as the management clients send them: JSON bodies and upload forms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from tests.kit.asgi import Answer, Client

BOUNDARY = "packhouse-test-boundary"


async def call(client: Client, method: str, target: str, body: Any = None) -> Answer:
    """Send a request with a JSON body, if one is given."""
    if body is None:
        return await client.request(method, target)
    data = json.dumps(body).encode()
    return await client.request(method, target, {"content-type": "application/json"}, [data])


async def read(client: Client, target: str, status: int = 200) -> Any:
    """GET and return the decoded body; the status must be as expected."""
    answer = await client.get(target)
    assert answer.status == status, (answer.status, answer.body)
    return answer.json()


def form(parts: Iterable[tuple[str, str | None, bytes]]) -> bytes:
    """Encode a form from (name, file name, value)."""
    body = b""
    for name, filename, value in parts:
        file = f'; filename="{filename}"' if filename is not None else ""
        body += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n"
        )
    return body + f"--{BOUNDARY}--\r\n".encode()


async def upload(
    client: Client, channel: str, filename: str, data: bytes, fields: Mapping[str, str] | None = None
) -> Answer:
    """Upload as the command lines do: the file first, then the fields."""
    given = {"filetype": "conda1", "size": str(len(data))} if fields is None else fields
    parts = [("content", filename, data), *((name, None, value.encode()) for name, value in given.items())]
    return await send_form(client, channel, form(parts))


async def send_form(client: Client, channel: str, body: bytes, pieces: int = 65536) -> Answer:
    """Send a form to the upload address of a channel, in pieces of that many bytes."""
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    chunks = (body[at : at + pieces] for at in range(0, len(body), pieces))
    return await client.request("POST", f"/api/channels/{quote(channel)}/artifacts", headers, chunks)
