"""The simple index: project pages and the list of projects, as JSON and as HTML.

A project page is kept as JSON; its HTML is made from that whenever it is asked for, so that the two always agree.
Source: PEP 503 (HTML), PEP 629 (version), PEP 658 and 714 (metadata apart), PEP 691 (JSON), PEP 700 (sizes, times).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

import msgspec

from packhouse.core.clock import to_iso
from packhouse.formats.base import Malformed, PartRow
from packhouse.formats.python.record import PAGE_KEYS

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"
#: what a page is that says of each file how large it is and since when it is there (PEP 700), and any other
_SIZED, _PLAIN = "1.1", "1.0"
_PIECE = 1 << 18

_json = msgspec.json.Encoder(order="deterministic")
_record = msgspec.json.Decoder(dict[str, Any])


class _Meta(msgspec.Struct, rename="kebab"):
    api_version: str = _PLAIN


class ProjectPage(msgspec.Struct):
    """A project page as we render it; each file is an object of PEP 691."""

    name: str
    files: list[dict[str, Any]]
    meta: _Meta = msgspec.field(default_factory=_Meta)
    versions: list[str] = []


_page = msgspec.json.Decoder(ProjectPage)


def render_project(rows: Sequence[PartRow], order: Callable[[str], Any]) -> tuple[bytes, bytes]:
    """Return the JSON page of one project, and its object in the list of projects; both empty when it has no file.

    Files stand by name, versions from old to new by `order`. The time a file became visible here is added (PEP 700),
    but never to a signed record. The page is of version 1.1 only when the size of each file is known.
    """
    if not rows:
        return b"", b""
    records = [(_record.decode(row.json), row) for row in sorted(rows, key=lambda row: row.filename)]
    name = records[0][0]["name"]
    files = [_file(record, row) for record, row in records]
    sized = all("size" in one and "upload-time" in one for one in files)
    page: dict[str, Any] = {"files": files, "meta": {"api-version": _SIZED if sized else _PLAIN}, "name": name}
    if sized:
        # versions that are equal in that order (1.0, 1.0.0) by their text, else no two processes say the same
        page["versions"] = sorted({record["version"] for record, _ in records}, key=lambda one: (order(one), one))
    return _json.encode(page), _json.encode({"name": name})


def _file(record: Mapping[str, Any], row: PartRow) -> dict[str, Any]:
    """Return one file as a page shows it; its address is relative, so a token in the page's stays there."""
    shown = {key: record[key] for key in PAGE_KEYS if key in record}
    shown["url"] = quote(row.filename, safe="")
    if "core-metadata" in shown:
        shown["dist-info-metadata"] = shown["core-metadata"]  # what clients from before PEP 714 look for
    if row.signatures is None:
        shown["upload-time"] = to_iso(row.visible_at)
    return shown


def project_html(page: bytes) -> bytes:
    """Return the HTML page of a project from its JSON page (PEP 503)."""
    read = _page.decode(page)
    return _html(f"Links for {read.name}", read.meta.api_version, map(_anchor, read.files))


def page_filenames(page: bytes) -> list[str]:
    """Return the files of a JSON page of ours. Malformed for what is none."""
    try:
        return [file["filename"] for file in _page.decode(page).files]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError) as error:
        raise Malformed(f"The page cannot be read: {error}.") from error


def _anchor(file: Mapping[str, Any]) -> str:
    sha256 = file.get("hashes", {}).get("sha256")
    said = {"href": file["url"] + (f"#sha256={sha256}" if sha256 else "")}
    if "requires-python" in file:
        said["data-requires-python"] = file["requires-python"]
    if (yanked := file.get("yanked", False)) is not False:
        said["data-yanked"] = "" if yanked is True else yanked
    if "core-metadata" in file:
        digest = file["core-metadata"]["sha256"]
        said |= dict.fromkeys(("data-core-metadata", "data-dist-info-metadata"), f"sha256={digest}")
    return _link(file["filename"], said)


def assemble_list(projects: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the JSON list of projects in pieces of about 256 KiB; `projects` are their objects, some may be empty."""
    yield b'{"meta":{"api-version":"1.1"},"projects":['
    batch: list[bytes] = []
    size, begun = 0, False
    for one in projects:
        if one:
            batch.append(one)
            size += len(one)
        if size >= _PIECE:
            yield (b"," if begun else b"") + b",".join(batch)
            batch, size, begun = [], 0, True
    if batch:
        yield (b"," if begun else b"") + b",".join(batch)
    yield b"]}"


def list_html(names: Iterable[str]) -> bytes:
    """Return the HTML list of projects: normalised names, in the order given."""
    return _html("Simple index", _SIZED, (_link(name, {"href": f"{name}/"}) for name in names))


def _link(text: str, attributes: Mapping[str, str]) -> str:
    said = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<a{said}>{escape(text)}</a><br>\n"


def _html(title: str, version: str, links: Iterable[str]) -> bytes:
    head = f'<meta charset="utf-8">\n<meta name="pypi:repository-version" content="{version}">\n'
    top = f"<!DOCTYPE html>\n<html>\n<head>\n{head}<title>{escape(title)}</title>\n</head>\n<body>\n"
    return "".join((top, *links, "</body>\n</html>\n")).encode()


_ACCEPTED = re.compile(r"\s*([^;,\s]+)\s*((?:;[^,]*)?)")
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", re.IGNORECASE)
#: what each type we can answer with is called, the one for a reader who does not care first
_TYPES = {
    "text/html": "text/html",
    JSON_TYPE: JSON_TYPE,
    HTML_TYPE: HTML_TYPE,
    "application/vnd.pypi.simple.latest+json": JSON_TYPE,
    "application/vnd.pypi.simple.latest+html": HTML_TYPE,
}
_WILD = {"*/*": "text/html", "text/*": "text/html", "application/*": JSON_TYPE}


def negotiate(accept: str) -> str | None:
    """Return the media type to answer with, of what an `Accept` header asks for (PEP 691, "Content negotiation").

    The one with the greatest quality; of equal ones JSON, which says the most. HTML for an empty header, None when
    nothing that is accepted can be given.
    """
    if not accept.strip():
        return "text/html"
    best: tuple[float, bool, str] | None = None
    for name, parameters in _ACCEPTED.findall(accept[:4096]):
        kind = _TYPES.get(name.lower()) or _WILD.get(name.lower())
        match = _QUALITY.search(parameters)
        quality = float(match[1]) if match else 1.0
        if kind is not None and quality > 0:
            best = max(best or (0.0, False, ""), (quality, kind == JSON_TYPE, kind))
    return best[2] if best else None
