"""Raw upload: `PUT` of a file's bytes on the address where it will be found (as uploaders to Artifactory send it)."""

from __future__ import annotations

from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import Receive, Scope, Send
from packhouse.doors.multipart import too_large
from packhouse.doors.serve.addresses import Target
from packhouse.doors.serve.bodies import check_length, pieces, say_stored
from packhouse.formats import registry
from packhouse.workflows.delivering.gate import Gate
from packhouse.workflows.publishing.upload import upload
from packhouse.workflows.services import Services


class PutDoor:
    """Takes uploads on content addresses."""

    def __init__(self, gate: Gate, services: Services) -> None:
        self._gate, self._services = gate, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send, principal: Principal, target: Target) -> None:
        """Store the body as the file its address names: 201, or 200 when the very same file was there already."""
        channel = await self._gate.channel(principal, "artifact:create", target.channel)
        if not target.partition or not registry.of_partition(target.partition).identify(target.filename):
            raise PackhouseError(
                "unsupported_type", "Only package files can be put here.", "Name a .conda, a .tar.bz2 or a .whl."
            )
        limit = self._services.settings.upload_bytes
        check_length(scope, limit)
        async with self._services.blobs.writer() as writer:
            async for piece in pieces(receive):
                if writer.size + len(piece) > limit:
                    raise too_large(limit)
                await writer.write(piece)
            done = await upload(
                self._services, channel, principal.username, writer, target.filename, partition=target.partition
            )
        await say_stored(send, done, 201 if done.created else 200)
