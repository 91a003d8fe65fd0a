"""SQLAlchemy Core as a statement compiler: a statement becomes driver text once, then runs on the driver itself.

Executing through SQLAlchemy costs more than the query on hot paths; declaring statements in it keeps one text for
both databases. Statements are module constants in a `store.py`, so the cache below is bounded by the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import BindParameter, ClauseElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.sqltypes import Boolean

Statement = ClauseElement | str

DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": postgresql.dialect(paramstyle="pyformat"),  # type: ignore[no-untyped-call]  # untyped upstream
}

_positional: dict[Statement, tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]] = {}
_texts: dict[tuple[str, Statement], tuple[str, dict[str, Any]]] = {}


def compiled(statement: Statement, dialect: str) -> tuple[str, dict[str, Any]]:
    """Return driver text and the values of literals inside it; compiled once per statement and dialect."""
    key = (dialect, statement)
    if (known := _texts.get(key)) is None:
        clause = text(statement) if isinstance(statement, str) else statement
        result = clause.compile(dialect=DIALECTS[dialect], compile_kwargs={"render_postcompile": True})
        literals = {name: value for name, value in result.params.items() if not _is_given(result, name)}
        known = _texts[key] = (str(result), literals)
    return known


def positional(statement: Statement) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    """Return SQLite's text with `?` for each value, and what puts a mapping of values in their order.

    For statements that run thousands of times: looking each value up by its name costs a fifth of an insert.
    """
    if (known := _positional.get(statement)) is None:
        clause = text(statement) if isinstance(statement, str) else statement
        dialect = sqlite.dialect(paramstyle="qmark")
        result: Any = clause.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        names: list[str] = list(result.positiontup or ())
        literals = {name: value for name, value in result.params.items() if not _is_given(result, name)}
        known = _positional[statement] = (str(result), _in_order(names, literals))
    return known


def _in_order(names: list[str], literals: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if literals or len(names) < 2:
        return lambda row: tuple([literals[name] if name in literals else row[name] for name in names])
    return itemgetter(*names)


def _is_given(result: Any, name: str) -> bool:
    """Tell whether the caller gives a parameter; a None that the statement itself sets is a literal."""
    bind = result.binds.get(name)
    return bind is not None and bool(bind.required)


class any_of(ColumnElement[bool]):
    """`column` is one of the values of the list parameter `name`: an array or a JSON list, as the driver likes it."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.values: BindParameter[Any] = bindparam(name)

    def self_group(self, against: Any = None) -> any_of:
        """Stay bare beside AND and OR; what SQLAlchemy would write for SQLite, `… = 1`, cannot use an index."""
        return self


@compiles(any_of, "sqlite")
def _sqlite(element: any_of, compiler: Any, **options: Any) -> str:
    column, values = compiler.process(element.column, **options), compiler.process(element.values, **options)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608  # both pieces are compiled by SQLAlchemy


@compiles(any_of, "postgresql")
def _postgresql(element: any_of, compiler: Any, **options: Any) -> str:
    column, values = compiler.process(element.column, **options), compiler.process(element.values, **options)
    return f"{column} = ANY({values})"


class each_of(FunctionElement[Any]):
    """The texts of the list parameter `name` as rows, `.table_valued("value")`: to ask something of each by itself."""

    inherit_cache = False

    def __init__(self, name: str) -> None:
        super().__init__()
        self.values: BindParameter[Any] = bindparam(name)


@compiles(each_of, "sqlite")
def _each_in_sqlite(element: each_of, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.values, **options)})"


@compiles(each_of, "postgresql")
def _each_in_postgresql(element: each_of, compiler: Any, **options: Any) -> str:
    return f"(SELECT unnest({compiler.process(element.values, **options)}::text[]) AS value)"


class any_found(ColumnElement[bool]):
    """`column` is one of what a query returns, which is asked first: a planner without statistics looks at no more."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], query: Select[Any]) -> None:
        self.column = column
        self.query = query.scalar_subquery()

    def self_group(self, against: Any = None) -> any_found:
        """Stay bare beside AND and OR; what SQLAlchemy would write for SQLite, `… = 1`, cannot use an index."""
        return self


@compiles(any_found, "sqlite")
def _found_in_sqlite(element: any_found, compiler: Any, **options: Any) -> str:
    return f"{compiler.process(element.column, **options)} IN {compiler.process(element.query, **options)}"


@compiles(any_found, "postgresql")
def _found_in_postgresql(element: any_found, compiler: Any, **options: Any) -> str:
    column, query = compiler.process(element.column, **options), compiler.process(element.query, **options)
    return f"{column} = ANY(ARRAY{query})"
