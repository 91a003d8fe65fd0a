"""What both forms of VEX share: limits, the words of statuses and times, and the collecting of what comes in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from packhouse.core.clock import SECOND, from_iso, to_iso
from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.statements import MAX_NOTE, MAX_TEXT, Judged, Statement, check
from packhouse.security.vulnerabilities.vex.purls import Product, Unusable, package_of

Form = Literal["openvex", "cyclonedx"]

MAX_BYTES = 32 << 20
#: statements of a document times the products of each
MAX_STATEMENTS = 50_000
#: namespace of what we add
OURS = "packhouse"

_T = TypeVar("_T")


class Skipped(NamedTuple):
    """A statement, or one product of it, that was passed over: where it stands in the document, and why."""

    where: str
    reason: str


class Imported(NamedTuple):
    """What a document says."""

    form: Form
    statements: list[Statement]
    skipped: list[Skipped]


class Found(msgspec.Struct):
    """One statement of a document, in words of neither form."""

    where: str
    vulnerability: str
    aliases: list[str]
    status: Judged | None  #: None: nobody has made up his mind
    note: str
    author: str
    at: str  #: a time as written; "": not said
    ours: bool  #: it is as we wrote it


class Incoming:
    """Collects the statements of one document, each checked and once, and what is passed over."""

    def __init__(self, origin: str, now: int) -> None:
        self.statements: dict[Statement, None] = {}
        self.skipped: list[Skipped] = []
        self._origin = origin
        self._now = now
        self._seen = 0

    def skip(self, where: str, reason: object) -> None:
        """Note that something was passed over."""
        self._count()
        self.skipped.append(Skipped(where, str(reason)))

    def take(self, found: Found, products: Iterable[Product]) -> None:
        """Take a statement about each product."""
        if found.status is None:
            self.skip(found.where, "It is still under investigation, which is no judgement: it stays reported.")
            return
        try:
            at = min(from_iso(found.at), self._now) if found.at else self._now
        except ValueError:
            self.skip(found.where, f"Its time {found.at[:40]!r} is none.")
            return
        for product in products:
            self._count()
            self._add(found, product, found.status, at)

    def _add(self, found: Found, product: Product, status: Judged, at: int) -> None:
        statement = Statement(
            _preferred(found),
            product.family,
            product.name,
            status,
            product.spec,
            product.sha256,
            found.note[:MAX_NOTE],
            found.author,
            at,
            self._origin,
        )
        try:
            self.statements[check(statement)] = None
        except PackhouseError as error:
            self.skipped.append(Skipped(found.where, error.message))

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MAX_STATEMENTS:
            raise PackhouseError(
                "too_large", f"The VEX document has more than {MAX_STATEMENTS} statements about a product.", "Split it."
            )


def our_product(ours: Mapping[str, str], purls: Iterable[str]) -> Product | None:
    """Return what a statement of ours is about, by `fields` of it; None when the document was edited since.

    Our words are about one package; a statement that was changed to be about others is read as anybody's.
    """
    try:
        packages = {package_of(purl) for purl in purls}
    except Unusable:
        return None
    if not ours or len(packages) != 1:
        return None
    return packages.pop()._replace(spec=ours.get("spec", ""), sha256=ours.get("sha256", ""))


def decoded(data: bytes | msgspec.Raw, kind: type[_T]) -> _T:
    """Return JSON as a structure. Raises Unusable with what is wrong."""
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise Unusable(f"It is not as the standard says: {str(error)[:200]}.") from None
    except (RecursionError, UnicodeDecodeError):
        raise Unusable("It is nested too deeply, or no text.") from None


def moment(at: int) -> str:
    """Return RFC 3339 in UTC with microseconds, so that a time comes back as it was."""
    return f"{str(to_iso(at))[:-4]}{at % SECOND:06}Z"


def printable(text: str) -> str:
    """Return a foreign name as it may be stored: one line, and not too long."""
    return "".join(mark if mark.isprintable() else " " for mark in text[:MAX_TEXT])


def joined(*notes: str | None) -> str:
    """Return the notes that say something, each once, as lines."""
    return "\n".join(dict.fromkeys(note for note in notes if note))


def fields(one: Statement) -> dict[str, Any]:
    """Return what neither standard can say of a statement, to be written beside it and read by `our_product`."""
    said = {"author": one.author, "origin": one.origin, "status": one.status}
    return said | ({"sha256": one.sha256} if one.sha256 else {"spec": one.spec})


def _preferred(found: Found) -> str:
    """Return the name to keep: the CVE when the document knows exactly one, as advisories are keyed."""
    cves = {name for name in (found.vulnerability, *found.aliases) if name.upper().startswith("CVE-")}
    return found.vulnerability if found.ours or len(cves) != 1 else cves.pop().upper()
