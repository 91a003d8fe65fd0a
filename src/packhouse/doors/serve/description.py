"""The data plane in the words of OpenAPI: these addresses are served beside the framework that describes the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from packhouse.core.errors import CODES
from packhouse.doors.serve.conda import ROOT_FILES
from packhouse.formats.conda.documents import DOCUMENTS, SHARDS_FOLDER

#: a channel, and a subchannel; `/t/TOKEN` may stand in front of the path and after `/api/repo`
BASES = ("/api/repo/{channel}", "/api/repo/{channel}/{subchannel}")
PACKAGE = "{subdir}/{filename}"
SHARD = "{subdir}/" + SHARDS_FOLDER + "{sha256}.msgpack.zst"
#: the simple index of Python projects (PEP 503, PEP 691, PEP 658)
PROJECTS, PROJECT, WHEEL = "simple/", "simple/{project}/", "simple/{project}/{filename}"
METADATA = WHEEL + ".metadata"
PYTHON = (PROJECTS, PROJECT, WHEEL, METADATA)
TAG = "repository"

_ANY = ("bad_request", "unauthenticated", "forbidden", "not_found", "too_many_attempts", "internal", "try_later")
_DOWNLOAD = ("hidden", "upstream_failed", "storage_full")
#: how a tail is refused besides
_MORE = dict.fromkeys((PACKAGE, WHEEL, METADATA), _DOWNLOAD) | {PROJECT: ("upstream_failed",)}
_PUT = ("channel_frozen", "different_content", "malformed_package", "too_large", "unsupported_type", "storage_full")
_ABOUT = {
    "channel": "The name of a channel.",
    "subchannel": "The name of a subchannel; `label/{subchannel}` means the same.",
    "subdir": "`noarch`, or a platform like `linux-64`.",
    "filename": "`<name>-<version>-<build>.conda` or `.tar.bz2`; of Python projects `<name>-<version>-….whl`.",
    "project": "The name of a Python project, normalised (PEP 503).",
    "sha256": "The hash of the shard, as the shard index names it, in hexadecimal.",
}
_FORM = (
    "Upload a package file as a form: that of the management API, or that of Python indexes, which twine and `uv "
    "publish` send and which is answered with 200."
)
_FIELDS = {
    "content": "The file, with its file name.",
    "filetype": "Its type, for example `conda1` or `bdist_wheel`; unsent, the file name tells.",
    ":action": "`file_upload` makes it the form of Python indexes.",
    "sha256_digest": "What the bytes must be, in that form.",
}
_CONDITIONS = {
    "If-None-Match": "ETags the client has; 304 when one is the present one.",
    "If-Modified-Since": "304 when nothing changed since; not looked at beside `If-None-Match`.",
    "Range": "One range of bytes, as package clients resume a download.",
    "If-Range": "An ETag; the whole is sent when it is not the present one.",
}
_FILES = {
    "notices.json": "What the channel tells its users (CEP 6).",
    "channeldata.json": "The channel's packages, one entry for each name.",
    "repodata_shards.msgpack.zst": "The shard index (CEP 16): name to hash.",
    "repodata.json": "The monolithic index.",
    "current_repodata.json": "The index of the newest versions and what they need.",
    "run_exports.json": "The run exports (CEP 12) of the files whose bytes are held: a mirror's, once fetched.",
    SHARD: "The records of one name (CEP 16). Immutable.",
    PROJECTS: "The Python projects of the channel, as JSON (PEP 691) or HTML (PEP 503), as `Accept` says.",
    PROJECT: "The files of a Python project, likewise; what an upstream has of it is asked for first.",
    WHEEL: "A file of a Python project, as a package file of conda.",
    METADATA: "The metadata of a wheel (PEP 658). It is refused as the wheel is.",
    PACKAGE: "A package file. One that a mirror has not fetched yet is fetched, checked and kept first.",
}


def repository_paths() -> dict[str, Any]:
    """Return path → operations of everything package clients read and write."""
    root = sorted(ROOT_FILES)
    below = [*(f"{{subdir}}/{name}" for kind in DOCUMENTS for name in kind.filenames), SHARD, PACKAGE]
    read = {f"{base}/{tail}": _operations(base, tail) for base in BASES for tail in (*root, *below, *PYTHON)}
    return read | {base: {"post": _posting(base)} for base in BASES}


def _operations(base: str, tail: str) -> dict[str, Any]:
    path = f"{base}/{tail}"
    operations = {method: _reading(path, tail, method) for method in ("get", "head")}
    if tail == PACKAGE:
        operations["put"] = _writing(path)
    return operations


def _reading(path: str, tail: str, method: str) -> dict[str, Any]:
    about = _about(tail)
    body: dict[str, Any] = {} if method == "head" else {"content": {media: {"schema": {}} for media in _media(tail)}}
    headers = [_parameter(name, "header", text) for name, text in _CONDITIONS.items()]
    return {
        "tags": [TAG],
        "operationId": _id(method, path),
        "description": about,
        "parameters": [*_in_path(path), *headers],
        "responses": {
            "200": {"description": "The file, with `ETag`, `Last-Modified` and `Cache-Control`.", **body},
            "206": {"description": "The range asked for.", **body},
            "304": {"description": "The client has it."},
            "416": {"description": "The range lies outside the file."},
            **_refusals((*_ANY, *_MORE.get(tail, ()))),
        },
    }


_NAMES = ("name", "ckey", "sha256")
_STORED: dict[str, Any] = {
    "type": "object", "required": [*_NAMES], "properties": {name: {"type": "string"} for name in _NAMES}
}  # fmt: skip


def _posting(path: str) -> dict[str, Any]:
    fields = {name: {"type": "string", "description": about} for name, about in _FIELDS.items()}
    form = {"schema": {"type": "object", "required": ["content"], "properties": fields}}
    return {**_writing(path), "operationId": _id("post", path), "description": _FORM} | {
        "requestBody": {"required": True, "content": {"multipart/form-data": form}}
    }


def _writing(path: str) -> dict[str, Any]:
    answer = {"content": {"application/json": {"schema": _STORED}}}
    return {
        "tags": [TAG],
        "operationId": _id("put", path),
        "description": "Upload a package file; it can be installed when the answer comes.",
        "parameters": _in_path(path),
        "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {}}}},
        "responses": {
            "200": {"description": "The very same file was there already.", **answer},
            "201": {"description": "The file was stored and published.", **answer},
            **_refusals((*_ANY, *_PUT)),
        },
    }


def _refusals(codes: Sequence[str]) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    for code in codes:
        by_status.setdefault(str(CODES[code][0]), []).append(f"`{code}`: {CODES[code][1]}")
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": " / ".join(texts), "content": problem} for status, texts in by_status.items()}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [_parameter(name, "path", text) for name, text in _ABOUT.items() if f"{{{name}}}" in path]


def _parameter(name: str, where: str, about: str) -> dict[str, Any]:
    return {
        "name": name, "in": where, "required": where == "path", "description": about, "schema": {"type": "string"}
    }  # fmt: skip


def _about(tail: str) -> str:
    name = tail.removeprefix("{subdir}/")
    if tail in _FILES or name in _FILES:
        return _FILES.get(tail) or _FILES[name]
    return _FILES[name.removesuffix(".zst")] + " Compressed with Zstandard."


def _media(tail: str) -> tuple[str, ...]:
    if tail in (PACKAGE, WHEEL):
        return ("application/octet-stream",)
    if tail in (PROJECTS, PROJECT):
        return ("application/vnd.pypi.simple.v1+json", "application/vnd.pypi.simple.v1+html", "text/html")
    if tail == METADATA:
        return ("text/plain",)
    return ("application/zstd" if tail.endswith(".zst") else "application/json",)


def _id(method: str, path: str) -> str:
    words = path.replace("{", "").replace("}", "").replace("/", " ").replace(".", " ").replace("_", " ").split()
    return method + "".join(word.capitalize() for word in words)
