"""Probes: the same request about something hidden and about something that is not there, and what told them apart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import pytest

from packhouse.core.db import Database, Unit
from tests.kit.asgi import Answer, Client

T = TypeVar("T")

#: told by the clock or made at random
_EACH_TIME = ("date",)


_ASKING = ContextVar("asking", default=False)


class Asked:
    """The statements that a database was asked for a request, and not for what goes on beside it."""

    def __init__(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[str] = []
        ask = db.fetch_all

        async def fetch_all(statement: Any, **values: Any) -> Any:
            if _ASKING.get():
                self.statements.append(_name(statement))
            return await ask(statement, **values)

        monkeypatch.setattr(db, "fetch_all", fetch_all)
        write = db.write

        async def written(work: Callable[[Unit], Awaitable[T]]) -> T:
            async def heard(unit: Unit) -> T:
                return await work(cast(Unit, _Heard(unit, self.statements)))

            return await write(heard if _ASKING.get() else work)

        monkeypatch.setattr(db, "write", written)

    async def by(self, client: Client, method: str, target: str, body: bytes = b"") -> tuple[Answer, list[str]]:
        """Send a request; return the answer and what was asked for it."""
        self.statements.clear()
        headers = {"content-type": "application/json"} if body else {}
        here = _ASKING.set(True)
        try:
            answer = await client.request(method, target, headers, [body] if body else [])
        finally:
            _ASKING.reset(here)
        return answer, [*self.statements]


class _Heard:
    """A unit that notes what it is asked."""

    def __init__(self, unit: Unit, statements: list[str]) -> None:
        self._unit, self._statements = unit, statements

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._unit, name)
        if name in ("fetch_all", "fetch_one", "fetch_value", "execute", "execute_many"):

            def noted(statement: Any, *rest: Any, **values: Any) -> Any:
                self._statements.append(_name(statement))
                return found(statement, *rest, **values)

            return noted
        return found


def _name(statement: Any) -> str:
    return statement if isinstance(statement, str) else f"statement {id(statement)}"


def told(answer: Answer, name: str) -> tuple[int, dict[str, str], bytes]:
    """Return all that an answer tells, but for the name that was asked about."""
    headers = {key: value for key, value in answer.headers.items() if key not in _EACH_TIME}
    return answer.status, headers, answer.body.replace(name.encode(), b"NAME")
