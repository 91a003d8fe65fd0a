"""A Python channel as clients see it: `[SUB/]simple/`, `simple/<project>/` and the files beside each project's page.

Source: PEP 503 (addresses, HTML), PEP 691 (JSON, content negotiation), PEP 658 (`.metadata`). Everything on a page is
relative to it, so that a token in the path of the page stays in the path of its files.
"""

from __future__ import annotations

from typing import NamedTuple

from packhouse.catalog.channels.channel import Channel
from packhouse.catalog.rights.principal import Principal
from packhouse.core.errors import PackhouseError
from packhouse.doors.serve.addresses import Target, without_label
from packhouse.doors.serve.answers import Answer, Redirect
from packhouse.doors.serve.packages import PackageFiles
from packhouse.doors.serve.sending import FRESH, Representation
from packhouse.formats.base import Malformed
from packhouse.formats.python.documents import LIST_HTML, LIST_JSON
from packhouse.formats.python.filename import is_name, is_wheel_filename, normalise, parse_wheel_filename
from packhouse.formats.python.inspect import METADATA_SUFFIX
from packhouse.formats.python.pages import HTML_TYPE, JSON_TYPE, negotiate
from packhouse.formats.python.record import SIMPLE
from packhouse.workflows.delivering.gate import Gate
from packhouse.workflows.delivering.sidecars import Sidecars
from packhouse.workflows.indexing.documents import Document
from packhouse.workflows.indexing.reading import IndexReader
from packhouse.workflows.mirroring.listing import Listings

FAMILY = "python"
#: what tells the ETag of one form from that of another whose bytes are the same
_MARKS = {JSON_TYPE: "json", HTML_TYPE: "v1html", "text/html": "html"}


class Address(NamedTuple):
    """What a path below `/api/repo/` means. All but the channel may be empty."""

    channel: str  #: `ch` or `ch/sub`
    project: str  #: as it was asked for
    file: str
    slash: bool  #: whether the address ends in one, as that of a page must


def parse(segments: list[str]) -> Address | None:
    """Return what the decoded segments `CH[/SUB]/simple[/project[/file]]` mean, or None for no address of ours."""
    segments = without_label(segments)
    at = next((at for at in (1, 2) if segments[at : at + 1] == [SIMPLE]), None)
    if at is None or "" in segments[:at]:
        return None
    rest = segments[at + 1 :]
    slash = rest[-1:] == [""]
    rest = rest[:-1] if slash else rest
    if len(rest) > 2 or "" in rest or (slash and len(rest) == 2):
        return None
    project, file = [*rest, "", ""][:2]
    return Address("/".join(segments[:at]), project, file, slash)


class PythonDoor:
    """Knows the answers to GET and HEAD below the simple index of a channel."""

    identifies = False

    def __init__(
        self, gate: Gate, index: IndexReader, packages: PackageFiles, sidecars: Sidecars, listings: Listings
    ) -> None:
        self._gate, self._index, self._packages = gate, index, packages
        self._sidecars, self._listings = sidecars, listings

    def parse(self, segments: list[str]) -> Address | None:
        """Return what decoded segments mean here, or None."""
        return parse(segments)

    def target(self, address: Address) -> Target:
        """Return where a file sent to an address would be put."""
        return Target(address.channel, SIMPLE if address.file else "", address.file)

    async def answer(
        self, principal: Principal, address: Address, accept: str, *, afresh: bool = False
    ) -> Answer | Redirect:
        """Return what the address names, or where that lies.

        Raises the refusals of the gate, `not_found`, and for what comes from an upstream those of `Listings.refresh`.
        """
        if address.file:
            return await self._file(principal, address, afresh)
        if not address.slash and is_wheel_filename(address.project.removesuffix(METADATA_SUFFIX)):
            return await self._apart(principal, address)
        channel = await self._gate.channel(principal, "channel:view-artifacts", address.channel)
        project = normalise(address.project)
        if project and not is_name(address.project):  # nothing else may come to stand in an address of ours
            raise _unknown(channel.path, address.project)
        if not address.slash:
            return Redirect(f"./{project or SIMPLE}/")
        if project != address.project:
            return Redirect(f"../{project}/")
        media_type = negotiate(accept) or "text/html"  # rather what was not asked for than nothing: PEP 691
        if project:
            return await self._page(channel, project, media_type)
        if afresh:
            for name in (LIST_JSON, LIST_HTML):
                self._index.forget(channel.id, SIMPLE, name)
        name = LIST_JSON if media_type == JSON_TYPE else LIST_HTML
        return _shown(channel, await self._index.document(FAMILY, channel.id, SIMPLE, name), media_type, address)

    async def _apart(self, principal: Principal, address: Address) -> Redirect:
        """Return where a file lies that is asked for by its ckey, without its project: no project is called so."""
        channel = await self._gate.channel(principal, "artifact:download", address.channel)
        try:
            project = parse_wheel_filename(address.project.removesuffix(METADATA_SUFFIX)).name
        except Malformed as error:
            message = f"{channel.path} has no file {address.project[:200]!r}."
            raise PackhouseError("not_found", message, "Write simple/<project>/<file name>.") from error
        return Redirect(f"{project}/{address.project}")

    async def _page(self, channel: Channel, project: str, media_type: str) -> Answer:
        missing = await self._listings.refresh(channel, FAMILY, project)
        form = JSON_TYPE if media_type == JSON_TYPE else "text/html"
        document = await self._index.own_document(FAMILY, channel.id, SIMPLE, project, form)
        if document is None and missing is not None:
            raise missing
        return _shown(channel, document, media_type, Address(channel.path, project, "", True))

    async def _file(self, principal: Principal, address: Address, afresh: bool) -> Answer:
        channel = await self._gate.channel(principal, "artifact:download", address.channel)
        project, filename = normalise(address.project), address.file.removesuffix(METADATA_SUFFIX)
        try:
            entry = await self._gate.entry(channel, FAMILY, SIMPLE, filename)
        except PackhouseError as refusal:
            if refusal.code != "not_found" or not is_name(project):
                raise
            missing = await self._listings.refresh(channel, FAMILY, project)  # a lock file names it, but no page did
            if missing is not None:
                raise missing from None
            entry = await self._gate.entry(channel, FAMILY, SIMPLE, filename)
        if entry.name != project:
            raise PackhouseError("not_found", f"{channel.path} has no file {filename[:200]!r} of {project[:200]!r}.")
        if filename == address.file:
            return await self._packages.answer(principal, channel, FAMILY, SIMPLE, filename, afresh=afresh)
        digest, body = await self._sidecars.get(channel, entry, METADATA_SUFFIX)
        what = Representation(
            etag=digest,
            modified_at=entry.visible_at,
            size=len(body),
            cache=FRESH,
            media_type=b"text/plain; charset=utf-8",
            body=body,
        )
        return Answer(what)


def _unknown(channel: str, project: str) -> PackhouseError:
    return PackhouseError("not_found", f"{channel} has no Python project {project[:200]!r}.")


def _shown(channel: Channel, document: Document | None, media_type: str, address: Address) -> Answer:
    if document is None:
        raise _unknown(channel.path, address.project)
    charset = "; charset=utf-8" if media_type == "text/html" else ""
    what = Representation(
        etag=f"{document.etag}-{_MARKS[media_type]}",
        modified_at=document.modified_at or channel.created_at,
        size=document.size,
        cache=FRESH,
        media_type=f"{media_type}{charset}".encode(),
        body=None if document.path else document.body,
        path=document.path,
        chosen_by=b"Accept",
    )
    return Answer(what)
