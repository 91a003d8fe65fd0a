"""Text from outside, made fit to stand where only one line may: in the headers of mail and of HTTP answers."""

from __future__ import annotations

MAX_LINE = 250


def one_line(text: str, most: int = MAX_LINE) -> str:
    """Return a text as it may stand in a header: no line ends, and nothing that reads as an encoded word (RFC 2047).

    The mail library decodes encoded words in what it is given, and one may hold a line end. What lies beyond `most`
    characters is left out.
    """
    printable = "".join(mark if mark.isprintable() else " " for mark in text[:most])
    return " ".join(printable.replace("=?", "= ?").split())


def header_value(text: str, most: int = 500) -> bytes:
    """Return a text as the value of an HTTP header: one line of printable ASCII (RFC 9110 section 5.5)."""
    return one_line(text, most).encode("ascii", "replace")
