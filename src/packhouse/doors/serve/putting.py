"""Raw upload: `PUT` of a file's bytes on the address where it will be found (as uploaders to Artifactory send it)."""

from __future__ import annotations

import msgspec

from packhouse.catalog.accounts.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import JSON_TYPE, Receive, Scope, Send, header, respond
from packhouse.doors.multipart import too_large
from packhouse.doors.serve.conda import Address
from packhouse.formats.conda.filename import is_conda_filename
from packhouse.workflows.delivering.gate import Gate
from packhouse.workflows.publishing.upload import upload
from packhouse.workflows.services import Services


class PutDoor:
    """Takes uploads on content addresses."""

    def __init__(self, gate: Gate, services: Services) -> None:
        self._gate, self._services = gate, services

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, address: Address
    ) -> None:
        """Store the body as the file the address names: 201, or 200 when the very same file was there already."""
        channel = await self._gate.channel(principal, "artifact:create", address.channel)
        if not address.partition or not is_conda_filename(address.file):
            raise PackhouseError(
                "unsupported_type", "Only package files can be put here.", "Name a .conda or .tar.bz2."
            )
        limit = self._services.settings.upload_bytes
        _check_length(header(scope, b"content-length"), limit)
        async with self._services.blobs.writer() as writer:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise PackhouseError("bad_request", "The upload broke off.", "Send it again.")
                if writer.size + len(message.get("body", b"")) > limit:
                    raise too_large(limit)
                await writer.write(message.get("body", b""))
                more = message.get("more_body", False)
            done = await upload(
                self._services, channel, principal.username, writer, address.file, partition=address.partition
            )
        body = {"name": done.coordinate.name, "ckey": done.coordinate.ckey, "sha256": done.hashes.sha256}
        await respond(send, 201 if done.created else 200, [(b"content-type", JSON_TYPE)], msgspec.json.encode(body))


def _check_length(declared: bytes | None, limit: int) -> None:
    """Refuse before the first byte what is too large by its own account."""
    if declared is not None and declared.isdigit() and int(declared[:20]) > limit:
        raise too_large(limit)
