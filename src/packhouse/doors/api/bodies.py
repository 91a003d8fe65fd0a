"""Bodies of requests: a member nobody knows is refused, since ignoring one could do the opposite of what was meant.

A misspelt `privacy` would make a channel public, a misspelt `scopes` a token without limits. What the known command
lines send and this server has no use for is a member of the body's structure, with a comment that says so.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import msgspec
from litestar import Request
from msgspec import inspect

from packhouse.core.errors import PackhouseError
from packhouse.doors.api.guard import caller_of

#: bytes of a body that is no package: reading one of lists of nothing takes a second for each 3 MiB
MOST_BYTES = 2 * 1024 * 1024
#: the same of somebody nobody knows, who can only log in
STRANGERS_BYTES = 16 * 1024

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_INDEX = re.compile(r"\[[^\]]*\]")


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The base of every structure that is read from a request."""


class _Repeated(Exception):
    """The name of a member that an object has twice."""


async def refuse_repeated(request: Request[Any, Any, Any]) -> None:
    """Refuse a JSON body that names a member twice in one object; other faults are left to the decoder."""
    if request.content_type[0] != "application/json":
        return
    body = await request.body()
    if len(body) > STRANGERS_BYTES and not caller_of(request).known:
        raise PackhouseError("too_large", "The body of the request is too large.", "Send a credential with it.")
    check_unique(body)


def check_unique(body: bytes) -> None:
    """Raise PackhouseError("bad_request") for JSON that names a member twice; other faults are left to the decoder."""
    try:
        json.loads(body, object_pairs_hook=_unique)
    except _Repeated as repeated:
        name = str(repeated)[:80]
        raise PackhouseError(
            "bad_request", f"The body names the member `{name}` twice.", "Name it once.", field=name
        ) from None
    except (ValueError, RecursionError):
        return


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Repeated(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return found


def unknown_member(message: str, place: str, body: Any) -> PackhouseError | None:
    """Return the refusal of a member that `body` (a type) does not have, or None when `message` is about other faults.

    `message` is msgspec's; `place` is where in the body it was found, like `items[1]`; `data` is the body itself.
    """
    if (found := _UNKNOWN.match(message)) is None:
        return None
    name, place = found[1][:80], "" if place == "data" else place
    known = [field.encode_name for structure in _at(body, place) for field in structure.fields]
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known are {', '.join(f'`{one}`' for one in known)}."
    where = f"`{place}`" if place else "The body"
    return PackhouseError("bad_request", f"{where} has an unknown member `{name}`.", hint, field=name)


def choices(place: str, body: Any) -> list[str]:
    """Return the words that may stand at a place of a body, or of a parameter (then without a place); none: any may."""
    *path, name = _INDEX.sub("", place).split(".")
    above = _at(body, ".".join(path))
    kinds = [field.type for structure in above for field in structure.fields if field.encode_name == name]
    return [word for kind in kinds or [inspect.type_info(body)] for word in _words(kind)]


def _words(kind: inspect.Type) -> list[str]:
    if isinstance(kind, inspect.LiteralType):
        return [str(value) for value in kind.values]
    if isinstance(kind, inspect.UnionType):
        return [word for one in kind.types for word in _words(one)]
    if isinstance(kind, inspect.CollectionType):
        return _words(kind.item_type)
    return _words(kind.type) if isinstance(kind, inspect.Metadata) else []


def structures(body: Any) -> Iterator[inspect.StructType]:
    """Yield every structure that a body of that type can hold, at any depth."""
    for structure in _in(inspect.type_info(body)):
        yield structure
        for field in structure.fields:
            for inner in _in(field.type):
                yield from structures(inner.cls)


def _at(body: Any, place: str) -> list[inspect.StructType]:
    """Return the structures that can stand at a place."""
    found = list(_in(inspect.type_info(body)))
    for name in _INDEX.sub("", place).split(".") if place else ():
        fields = [field for structure in found for field in structure.fields if field.encode_name == name]
        found = [inner for field in fields for inner in _in(field.type)]
    return found


def _in(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """Yield the structures a type is made of, not those inside them."""
    if isinstance(kind, inspect.StructType):
        yield kind
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _in(one)
    elif isinstance(kind, inspect.CollectionType):
        yield from _in(kind.item_type)
    elif isinstance(kind, inspect.DictType):
        yield from _in(kind.value_type)
    elif isinstance(kind, inspect.Metadata):
        yield from _in(kind.type)
