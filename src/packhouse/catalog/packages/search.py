"""Full-text search over the names and summaries of packages: the one function with two implementations.

SQLite answers from FTS5, PostgreSQL from an expression index over a `tsvector`; triggers and the index itself keep both
right in the transaction of every change (migration 0002). Both see words as runs of letters and digits, without
stemming, and take every word of a question as the beginning of one: `sci le` finds `scikit-learn`.
"""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, TextClause, bindparam, column, select, table, text

from packhouse.catalog.schema import package

_WORD = re.compile(r"[^\W_]+")
#: more words than this do not make a question clearer
MOST_WORDS = 16

_FTS = table("package_search", column("rowid"))
_SQLITE = package.c.id.in_(select(_FTS.c.rowid).where(text("package_search MATCH :words")))
_VECTOR = text(
    "to_tsvector('simple'::regconfig, translate(package.name || ' ' || package.summary, '-_./:@+', '       '))"
    " @@ CAST(:words AS tsquery)"
)


def matches(dialect: str) -> ColumnElement[bool] | TextClause:
    """Return the condition on `package` that takes the value `words`, made by `words_of`."""
    return _SQLITE if dialect == "sqlite" else _VECTOR


def words_of(question: str, dialect: str) -> str | None:
    """Return what a person typed as the database's own query, or None when there is no word in it.

    Nothing of the database's query language gets through: only letters and digits do.
    """
    words = _WORD.findall(question.lower())[:MOST_WORDS]
    if not words:
        return None
    if dialect == "sqlite":
        return " ".join(f'"{word}"*' for word in words)
    return " & ".join(f"'{word}':*" for word in words)


#: whether a package is named exactly as was asked; such rows come first
EXACT: ColumnElement[bool] = package.c.name == bindparam("exact")
