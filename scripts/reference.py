"""Writes the reference pages in docs/reference from the code, so that they cannot say anything else.

scripts/reference.py            write the pages
scripts/reference.py --check    fail and name the pages that are stale
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from packhouse.catalog.audit.types import EVENTS
from packhouse.catalog.rights.permissions import ACTIONS, ALWAYS_IN_TOKENS, CATEGORIES, Level
from packhouse.core.errors import CODES
from packhouse.core.settings import DESCRIPTIONS, PREFIX, SECRET, Settings
from packhouse.doors.api import Api
from packhouse.doors.api import document as openapi
from packhouse.doors.api.permissions import BULK, ROUTES, SUBSCRIBE

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Written by scripts/reference.py; edit the code instead. -->"


def pages() -> dict[str, str]:
    """Return file name → text of every page."""
    made = {
        "api.md": api(),
        "errors.md": errors(),
        "events.md": events(),
        "settings.md": settings(),
        "permissions.md": permissions(),
    }
    return {name: "\n".join([NOTE, "", *lines]).rstrip() + "\n" for name, lines in made.items()}


def errors() -> Iterator[str]:
    """The codes of refusals."""
    yield "# Error codes"
    yield ""
    yield "Every refusal is `application/problem+json` (RFC 9457). `code` is stable; `message` says what happened and"
    yield "what to do next. `error.code` and `error.message` repeat both for older clients."
    yield ""
    yield from table(("code", "status", "meaning"), ((f"`{c}`", str(s), text) for c, (s, text) in CODES.items()))


def events() -> Iterator[str]:
    """The types of events of the audit trail."""
    yield "# Types of events"
    yield ""
    yield "What the [audit trail](../audit.md) holds. `GET /api/events?type=user_created` filters by a type."
    yield ""
    yield from table(("type", "what happened"), ((f"`{name}`", text) for name, text in EVENTS.items()))


def settings() -> Iterator[str]:
    """The settings of the server."""
    yield "# Settings"
    yield ""
    yield f"From `packhouse.toml` in the data folder (or the file `{PREFIX}CONFIG` names) and from the environment,"
    yield f"which wins: `port` is `{PREFIX}PORT`."
    yield ""
    fields, values = Settings.__struct_fields__, Settings.__struct_defaults__
    defaults = dict(zip(reversed(fields), reversed(values), strict=False))
    rows = (
        (f"`{name}`", shown(name, defaults.get(name)), text.replace("|", "\\|")) for name, text in DESCRIPTIONS.items()
    )
    yield from table(("setting", "default", "meaning"), rows)


def shown(name: str, default: object) -> str:
    """Return a default as it is written in the file."""
    if name in SECRET or default in ("", None) or not isinstance(default, str | int):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def permissions() -> Iterator[str]:
    """Who may do what, and what each route needs."""
    always = ", ".join(f"`{action}`" for action in sorted(ALWAYS_IN_TOKENS))
    yield "# Permissions"
    yield ""
    yield "Levels: none < read < write < manage. A role has a level in each category; `admin` has manage in all. What"
    yield "the table says of the two other roles is what they begin with: `/api/roles` changes them, and makes others."
    yield "Owners have manage on their channels, where the last column says so. A private channel is opened by no role"
    yield "but `admin`. A token is limited to its scopes, the actions below, and to what its account may do: a scope"
    yield f"that the account lacks gives nothing. Besides, every token may do {always}: a client asks who it is."
    yield ""
    yield "At package addresses (`/api/repo/CHANNEL/…` and their short forms) indexes need `channel:view-artifacts`,"
    yield "files `artifact:download` and uploads `artifact:create`."
    yield ""
    rows: Any = (
        (f"`{name}`", level(row.everyone), level(row.author), "yes" if row.of_channel else "")
        for name, row in CATEGORIES.items()
    )
    yield from table(("category", "everyone", "author", "owner and grantees"), rows)
    yield ""
    yield "## Actions"
    yield ""
    yield from table(
        ("action (scope)", "category", "level"),
        ((f"`{action}`", f"`{category}`", level(needed)) for action, (category, needed) in ACTIONS.items()),
    )
    yield ""
    yield "## Routes"
    yield ""
    yield "On a subchannel an action `channel:…` means `subchannel:…`. Subscribing to notifications also needs"
    yield f"`{SUBSCRIBE}` on the channel."
    yield ""
    rows = (
        (f"`{method} {path}`", f"`{action}`" if action else "open to everybody")
        for (method, path), action in ROUTES.items()
    )
    yield from table(("route", "needs"), rows)
    yield ""
    yield "What a bulk request needs depends on what it does:"
    yield ""
    bulk = ((a, f"`{s}`", f"`{t}`" if t else "") for a, (s, t) in BULK.items())
    yield from table(("bulk action", "on the source", "on the target"), bulk)


def level(value: Level) -> str:
    """Return a level in words."""
    return value.name.lower()


def api() -> Iterator[str]:
    """Every route with its parameters, bodies and answers."""
    document = openapi(Api(cast(Any, None), cast(Any, None)).litestar)
    yield "# HTTP API"
    yield ""
    yield document["info"]["description"]
    yield ""
    yield "The same as OpenAPI 3.1: `GET /api/openapi.json`."
    tags: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if isinstance(operation, dict) and "operationId" in operation:
                tags.setdefault(operation["tags"][0], []).append((path, method.upper(), operation))
    for tag in sorted(tags):
        yield from ("", f"## {tag}")
        for path, method, operation in sorted(tags[tag], key=lambda one: one[:2]):
            if "/{subchannel}" not in path and method != "HEAD":
                yield from route(path, method, operation)
    yield from ("", "## Shapes")
    for name, schema in sorted(document["components"]["schemas"].items()):
        if not name.startswith("Page_"):
            yield from shape(name, schema)


def route(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    """One route."""
    below = path.startswith("/api/channels/{channel}") and "subchannels" not in path
    yield from ("", f"### {method} {path}", "", operation.get("description", ""))
    if below:
        yield "Also below `…/subchannels/{subchannel}`."
    if path.startswith("/api/repo/"):
        yield "Also below `/api/repo/{channel}/{subchannel}/`."
    query = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    if query:
        yield ""
        described = (
            (f"`{p['name']}`", kind(p["schema"]), p["schema"].get("default"), p.get("description", "")) for p in query
        )
        rows = ((n, k, "" if d in (None, "") else f"`{d}`", text.replace("|", "\\|")) for n, k, d, text in described)
        yield from table(("parameter", "type", "default", "meaning"), rows)
    yield ""
    if "requestBody" in operation:
        media, content = next(iter(operation["requestBody"]["content"].items()))
        schema = content["schema"]
        shape = f", {kind(schema)}" if schema else ""
        if fields := ", ".join(f"`{name}`" for name in schema.get("properties", ())):
            shape = f" with {fields}; the file is `content`"
        yield f"Body: `{media}`{shape}."
    good = {status: r for status, r in operation["responses"].items() if int(status) < 400}
    for status, response in sorted(good.items()):
        media, body = next(iter(response.get("content", {}).items()), ("", None))
        yield f"Answer: {status}{', ' + (kind(body['schema']) if body['schema'] else f'`{media}`') if body else ''}."
    codes = sorted(
        {
            part.split("`")[1]
            for s, r in operation["responses"].items()
            if int(s) >= 400 and "content" in r
            for part in r["description"].split(" / ")
        }
    )
    yield "Refusals: " + ", ".join(f"`{code}`" for code in codes) + "."


def shape(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """One structure."""
    yield from ("", f"### {name}", "")
    if about := schema.get("description"):
        yield from (about, "")
    required = set(schema.get("required", []))
    members = schema.get("properties", {}).items()
    yield from table(
        ("member", "type", "always there", "meaning"),
        ((f"`{n}`", kind(s), "yes" if n in required else "", meaning(s)) for n, s in members),
    )


def meaning(schema: dict[str, Any]) -> str:
    """Return what a value means, and what it is where it is not sent."""
    texts = [schema.get("description", "").replace("|", "\\|")]
    if schema.get("default") not in (None, "", [], {}):
        texts.append(f"default `{str(schema['default']).replace('True', 'true').replace('False', 'false')}`")
    return "; ".join(text for text in texts if text)


def kind(schema: dict[str, Any]) -> str:
    """Return the type of a value in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"page of {name.split('.')[-1].rstrip('_')}" if name.startswith("Page_") else name
    if "enum" in schema:
        return " or ".join("null" if value is None else f"`{value}`" for value in schema["enum"])
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(kind(one) for one in schema[several]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def table(head: tuple[str, ...], rows: Any) -> Iterator[str]:
    """A Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def stale() -> list[str]:
    """Return the names of the pages that are not what the code says."""
    return [
        name for name, text in pages().items() if not (FOLDER / name).is_file() or (FOLDER / name).read_text() != text
    ]


def main() -> int:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="only say which pages are stale")
    if parser.parse_args().check:
        names = stale()
        for name in names:
            sys.stderr.write(f"docs/reference/{name} is stale; run scripts/reference.py\n")
        return 1 if names else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
