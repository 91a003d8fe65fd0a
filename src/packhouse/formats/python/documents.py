"""The list of projects of a simple index, as JSON (PEP 691) and as HTML (PEP 503).

Both lie at one address, and what a client accepts decides: the names here are only how they are kept apart.
"""

from __future__ import annotations

from collections.abc import Iterable

from packhouse.formats.base import Index, IndexDocument
from packhouse.formats.python.pages import JSON_TYPE, assemble_list, list_html

LIST_JSON, LIST_HTML = "projects.json", "projects.html"


def _list_json(index: Index) -> Iterable[bytes]:
    return assemble_list(index.fragments)


def _list_html(index: Index) -> Iterable[bytes]:
    return [list_html(name for name, _ in index.names)]


DOCUMENTS = (
    IndexDocument(LIST_JSON, None, JSON_TYPE, _list_json, frozenset({"fragments"})),
    IndexDocument(LIST_HTML, None, "text/html", _list_html, frozenset({"names"})),
)
