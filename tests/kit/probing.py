"""Probes: the same request about something hidden and about something that is not there, and what told them apart."""

from __future__ import annotations

from typing import Any

import pytest

from packhouse.core.db import Database
from tests.kit.asgi import Answer, Client

#: told by the clock or made at random
_EACH_TIME = ("date",)


class Asked:
    """The statements that a database was asked while this listens."""

    def __init__(self, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[str] = []
        ask = db.fetch_all

        async def fetch_all(statement: Any, **values: Any) -> Any:
            self.statements.append(statement if isinstance(statement, str) else f"statement {id(statement)}")
            return await ask(statement, **values)

        monkeypatch.setattr(db, "fetch_all", fetch_all)

    async def by(self, client: Client, method: str, target: str, body: bytes = b"") -> tuple[Answer, list[str]]:
        """Send a request; return the answer and what was asked for it."""
        self.statements.clear()
        headers = {"content-type": "application/json"} if body else {}
        answer = await client.request(method, target, headers, [body] if body else [])
        return answer, [*self.statements]


def told(answer: Answer, name: str) -> tuple[int, dict[str, str], bytes]:
    """Return all that an answer tells, but for the name that was asked about."""
    headers = {key: value for key, value in answer.headers.items() if key not in _EACH_TIME}
    return answer.status, headers, answer.body.replace(name.encode(), b"NAME")
