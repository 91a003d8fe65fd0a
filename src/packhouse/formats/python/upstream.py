"""What the project pages of another Python index say, read without trusting it.

Pure: somebody else fetches, one page when one project is asked for. An index answers JSON (PEP 691) or HTML (PEP 503);
ask with `ACCEPT`. What is wrong with one file is a fault of that file, and the others are as good as before.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from packhouse.formats.archives.limits import MIB
from packhouse.formats.archives.names import shown
from packhouse.formats.base import Coordinate, LazyUpstream, Listing, Malformed, Offer
from packhouse.formats.python.filename import is_wheel_filename, normalise, parse_wheel_filename
from packhouse.formats.python.htmlpage import tags
from packhouse.formats.python.pages import HTML_TYPE, JSON_TYPE
from packhouse.formats.python.record import MAX_TEXT, SIMPLE, columns, coordinate_keys, digest_of
from packhouse.formats.strictjson import has_nul

#: the header to ask an upstream with
ACCEPT = f"{JSON_TYPE}, {HTML_TYPE};q=0.2, text/html;q=0.1"
#: bytes of a page, decompressed; the largest of PyPI has 20 MiB
PAGE_LIMIT = 64 * MIB
_MOST_FILES = 200_000
_MOST_FAULTS = 1000
_MAX_URL = 4096
_MAJOR = "1."


class _Meta(msgspec.Struct):
    api_version: str = msgspec.field(name="api-version", default="1.0")


class _Status(msgspec.Struct):
    status: str = "active"


class _Page(msgspec.Struct):
    name: str
    files: list[msgspec.Raw]
    meta: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(name="project-status", default_factory=_Status)


_pages = msgspec.json.Decoder(_Page)
_file = msgspec.json.Decoder(dict[str, Any])
_FAULTY = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def page_address(name: str) -> str:
    """Return the address of the page of a project, relative to its index (`…/simple/`)."""
    return f"{normalise(name)}/"


def parse_project(data: bytes, media_type: str, url: str, name: str) -> Listing:
    """Parse the page of the project `name`, found at `url` (after redirects), as its `Content-Type` says.

    Malformed for a page that cannot be read, is of another project or of another major version (PEP 629), and for one
    that is too large.
    """
    if len(data) > PAGE_LIMIT:
        raise Malformed(f"The upstream's page has {len(data):,} bytes; at most {PAGE_LIMIT:,} are read.")
    if _is_json(media_type):
        return _json_page(data, url, normalise(name))
    return _html_page(data, url, normalise(name))


def _json_page(data: bytes, url: str, name: str) -> Listing:
    try:
        page = _pages.decode(data)
    except _FAULTY as error:
        raise Malformed(f"The upstream's page cannot be read: {error}.") from error
    _check_version(page.meta.api_version)
    _check_count(len(page.files))
    if normalise(page.name[:MAX_TEXT]) != name:
        raise Malformed(f"The upstream's page of {name} is one of {shown(page.name)}.")
    found = Listing(name, SIMPLE, [], page.status.status[:64])
    files = _Files(found, url)
    for raw in page.files:
        try:
            said = _file.decode(raw)
        except _FAULTY as error:
            _note(found.faults, "", f"A file of the page cannot be read: {error}.")
            continue
        files.add(said)
    return found


def _html_page(data: bytes, url: str, name: str) -> Listing:
    found = Listing(name, SIMPLE, [])
    files = _Files(found, url)
    for count, tag in enumerate(tags(_text(data))):
        _check_count(count)
        if tag is None:
            _note(found.faults, "", "A link of the page cannot be read.")
        elif tag.name == "a" and "href" in tag.attributes:
            files.add(_from_anchor(tag.attributes))
        elif tag.name == "base" and "href" in tag.attributes:
            files.base = _joined(url, tag.attributes["href"]) or url
        elif tag.name == "meta":
            _read_meta(found, tag.attributes)
    return found


def _read_meta(found: Listing, attributes: dict[str, str]) -> None:
    name, said = attributes.get("name"), attributes.get("content", "")
    if name == "pypi:repository-version":
        _check_version(said)
    elif name == "pypi:project-status":
        found.status = said[:64]


def _from_anchor(attributes: dict[str, str]) -> dict[str, Any]:
    """Return what an anchor says as the object of PEP 691 that would say it."""
    href, _, fragment = attributes["href"].strip().partition("#")
    said: dict[str, Any] = {"filename": unquote(_path(href).rpartition("/")[2]), "url": href, "hashes": {}}
    algorithm, _, digest = fragment.partition("&")[0].partition("=")
    said["hashes"] = {algorithm: digest}
    if wanted := attributes.get("data-requires-python"):
        said["requires-python"] = wanted
    if "data-yanked" in attributes:
        said["yanked"] = attributes["data-yanked"] or True
    apart = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    if apart.startswith("sha256="):
        said["core-metadata"] = {"sha256": apart[len("sha256=") :]}
    return said


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


class _Files:
    """Takes the files of one page, each name once."""

    def __init__(self, found: Listing, url: str) -> None:
        self._found = found
        self._known: dict[str, Offer] = {}
        self.base = url

    def add(self, said: dict[str, Any]) -> None:
        """Take a file as PEP 691 describes it, or note why not."""
        filename = said.get("filename")
        if not isinstance(filename, str) or not is_wheel_filename(filename):
            self._found.unsupported += 1
            return
        try:
            one = self._read(filename, said)
            if self._known.setdefault(filename, one) != one:
                raise Malformed("The page lists it twice, and says different things of it.")
        except Malformed as fault:
            _note(self._found.faults, filename, str(fault))
        else:
            if self._known[filename] is one:
                self._found.files.append(one)

    def _read(self, filename: str, said: dict[str, Any]) -> Offer:
        parsed = parse_wheel_filename(filename)
        if parsed.name != self._found.name:
            raise Malformed(f"It is a file of {parsed.name}.")
        at = Coordinate("python", SIMPLE, filename, parsed.name, parsed.version, parsed.build, parsed.build_number)
        record = coordinate_keys(at) | _kept(said)
        if has_nul(record):
            raise Malformed("What is said of it holds the character U+0000.")
        columns(filename, record)
        url = _joined(self.base, said.get("url"))
        if url is None:
            raise Malformed("It has no address that can be used.")
        return Offer(filename, url, record)


def _kept(said: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a file that a record keeps. Malformed when it has no SHA-256."""
    hashes = said.get("hashes")
    sha256 = digest_of(_texts(hashes), "sha256")
    if sha256 is None:
        raise Malformed("The page gives no SHA-256 of it, so nobody could tell whether it arrived whole.")
    kept: dict[str, Any] = {"hashes": {"sha256": sha256}}
    for key in ("requires-python", "upload-time", "size"):
        if said.get(key) is not None:
            kept[key] = said[key]
    if said.get("yanked", False) is not False:
        kept["yanked"] = said["yanked"] or True
    apart = said.get("core-metadata", said.get("dist-info-metadata", said.get("data-dist-info-metadata")))
    if (digest := digest_of(_texts(apart), "sha256")) is not None:
        kept["core-metadata"] = {"sha256": digest}
    return kept


def _texts(value: Any) -> dict[str, str]:
    return {key: one for key, one in value.items() if isinstance(one, str)} if isinstance(value, dict) else {}


def _joined(base: str, url: Any) -> str | None:
    """Return an address as absolute, without fragment; None for one that is none, or holds a credential."""
    if not isinstance(url, str) or len(url) > _MAX_URL or not url.isprintable():
        return None
    try:
        full = urljoin(base, url.strip().partition("#")[0])
        parts = urlsplit(full)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        usable = usable and parts.port != 0  # raises for a port that is none
    except ValueError:
        return None
    return full if usable and len(full) <= _MAX_URL and full.isprintable() else None


def _is_json(media_type: str) -> bool:
    return media_type.partition(";")[0].strip().lower().endswith(("+json", "/json"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _check_version(said: str) -> None:
    if not said.startswith(_MAJOR):
        raise Malformed(f"The upstream's page is of version {shown(said)}; only 1.x is known (PEP 629).")


def _check_count(count: int) -> None:
    if count > _MOST_FILES:
        raise Malformed(f"The upstream's page has more than {_MOST_FILES:,} entries.")


def _note(faults: list[tuple[str, str]], name: str, reason: str) -> None:
    if len(faults) < _MOST_FAULTS:
        faults.append((name, reason))


UPSTREAM = LazyUpstream(ACCEPT, PAGE_LIMIT, page_address, parse_project)
