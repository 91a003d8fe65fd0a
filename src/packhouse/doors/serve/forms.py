"""Uploads as forms on a channel's own address: what twine and `uv publish` send, and the plain form of curl.

The form says which it is: `:action=file_upload` is the legacy upload API of Python indexes, and it wants 200 for an
answer; `filetype` is the form of the management API.
"""

from __future__ import annotations

from packhouse.catalog.rights.principal import Principal
from packhouse.core.blobs import Hashes
from packhouse.core.errors import PackhouseError
from packhouse.doors.asgi import Receive, Scope, Send, header
from packhouse.doors.multipart import FIELD_BYTES, Form, checked_filename, receive_form
from packhouse.doors.serve.addresses import without_label
from packhouse.doors.serve.bodies import check_length, pieces, say_stored
from packhouse.workflows.delivering.gate import Gate
from packhouse.workflows.publishing.upload import upload
from packhouse.workflows.services import Services

_LEGACY = ":action"


def channel_at(segments: list[str]) -> str | None:
    """Return the channel whose own address this is, which takes forms; None for an address below it."""
    segments = without_label(segments if segments[-1] else segments[:-1])
    return "/".join(segments) if len(segments) in (1, 2) else None


class FormDoor:
    """Takes forms on `CH[/SUB]`, with a slash at the end or without."""

    def __init__(self, gate: Gate, services: Services) -> None:
        self._gate, self._services = gate, services

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal, segments: list[str]
    ) -> None:
        """Store the file of a form: 201, or 200 when it was there already and for clients of Python indexes."""
        path = channel_at(segments)
        if path is None:
            raise PackhouseError(
                "method_not_allowed",
                "A form is not taken here.",
                "Send it to the address of the channel.",
                allow="GET, HEAD, PUT",
            )
        channel = await self._gate.channel(principal, "artifact:create", path)
        limit = self._services.settings.upload_bytes
        check_length(scope, limit + 2 * FIELD_BYTES)
        kind = (header(scope, b"content-type") or b"").decode("latin-1")
        async with self._services.blobs.writer() as writer:
            form = await receive_form(pieces(receive), kind, writer, limit=limit)
            legacy = form.one(_LEGACY) is not None
            if legacy:
                _check_legacy(form, writer.hashes())
            filename = checked_filename(form, writer.size)
            done = await upload(self._services, channel, principal.username, writer, filename)
        await say_stored(send, done, 201 if done.created and not legacy else 200)


def _check_legacy(form: Form, hashes: Hashes) -> None:
    """Refuse what asks for something else than to upload, and a file that is not what the form says.

    Raises PackhouseError("bad_request").
    """
    action = form.one(_LEGACY)
    if action != "file_upload":
        raise PackhouseError("bad_request", f"`:action` is {str(action)[:40]!r}.", "Only file_upload is known.")
    for name, found in (("sha256_digest", hashes.sha256), ("md5_digest", hashes.md5)):
        said = form.one(name)
        if said and said.lower() != found:
            raise PackhouseError(
                "bad_request",
                f"`{name}` says {said[:80]!r}, but the bytes that arrived have {found}.",
                "Send it again.",
            )
