"""JSON as two readers cannot understand it differently: no duplicate keys, no NaN, no number beyond 64 bits."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from packhouse.formats.archives.limits import DEFAULT
from packhouse.formats.base import Malformed

_MIN, _MAX = -(2**63), 2**63 - 1


class _Refused(Exception):
    """What is wrong, in words that follow the name of the file."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("names a key twice")
    return found


def _integer(text: str) -> int:
    if len(text) > 20 or not _MIN <= (number := int(text)) <= _MAX:
        raise _Refused("has a number that does not fit in 64 bits")
    return number


def _real(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise _Refused("has a number that is out of range")
    return number


def _constant(text: str) -> NoReturn:
    raise _Refused(f"has the value {text}, which is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_real, parse_constant=_constant, strict=False
)


def load(data: bytes, what: str) -> Any:
    """Return the value of a JSON document; `what` names it in messages ("info/index.json").

    Malformed for text that is not UTF-8 or not JSON, duplicate keys, NaN and infinities, integers beyond a signed
    64-bit one, lone surrogates, the character U+0000, which PostgreSQL cannot keep, and nesting beyond
    `Limits.json_depth`.
    """
    if sum(map(data.count, (b",", b"[", b"{"))) > DEFAULT.json_values:
        raise Malformed(f"{what} has more than {DEFAULT.json_values:,} values.")
    try:
        text = data.decode("utf-8")
        value = _DECODER.decode(text)
    except _Refused as error:
        raise Malformed(f"{what} {error}.") from error
    except UnicodeDecodeError as error:
        raise Malformed(f"{what} is not UTF-8.") from error
    except RecursionError as error:
        raise Malformed(f"{what} is nested too deeply.") from error
    except ValueError as error:
        raise Malformed(f"{what} is not JSON: {error}.") from error
    if text.count("{") + text.count("[") > DEFAULT.json_depth:
        _check_depth(value, what, DEFAULT.json_depth)
    if "\\ud" in text or "\\uD" in text:
        _check_text(value, what)
    if ("\\u0000" in text or "\0" in text) and has_nul(value):
        raise Malformed(f"{what} has a text with the character U+0000.")
    return value


def load_object(data: bytes, what: str) -> dict[str, Any]:
    """Return the value of a JSON document that must be an object. Malformed as `load`."""
    value = load(data, what)
    if not isinstance(value, dict):
        raise Malformed(f"{what} must hold a JSON object.")
    return value


def _check_depth(value: Any, what: str, left: int) -> None:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if children and not left:
        raise Malformed(f"{what} is nested more than {DEFAULT.json_depth} levels deep.")
    for child in children:
        if isinstance(child, (dict, list)):
            _check_depth(child, what, left - 1)


def _check_text(value: Any, what: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise Malformed(f"{what} has half a surrogate pair, which is no text.") from error


def has_nul(value: Any) -> bool:
    """Say whether a text within a JSON value, however deep, holds the character U+0000."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and "\0" in one:
            return True
    return False
