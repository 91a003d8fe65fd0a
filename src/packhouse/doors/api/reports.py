"""`/api/reports`: what administrators ask for as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import msgspec
from litestar import post
from litestar.params import JSONBody
from litestar.response import Stream

from packhouse.core.tables import csv_lines
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Word, moment
from packhouse.doors.api.problems import refused
from packhouse.workflows.reporting.activity import COLUMNS, Part, Row, Wanted, activity


class DownloadsRequest(Body, kw_only=True):
    """What a report of downloads shall be about; it covers a year at most."""

    from_date: Word  #: ISO 8601
    to_date: Word  #: ISO 8601; a date is included whole
    download_as: Literal["json", "csv"] = "json"
    user_names: list[Word] | None = None  #: empty: everybody
    channel_names: list[Word] | None = None  #: empty: all


@post("/api/reports/artifact_downloads", tags=["reports"], status_code=200, responses=refused())
async def artifact_downloads(data: JSONBody[DownloadsRequest], caller: Caller, services: House) -> Stream:
    """Download who downloaded what, for a year at most: `{"downloaded_items": […]}`, or a table for spreadsheets.

    An item is one download; they come by time. In CSV, `cves` and `client_tokens` are separated by spaces, the latter
    as `kind=token`. What is older than the setting `download_days` is not known any more.
    """
    wanted = Wanted(
        moment("from_date", data.from_date),
        moment("to_date", data.to_date, end=True),
        tuple(data.user_names or ()),
        tuple(data.channel_names or ()),
        data.download_as,
    )
    csv = data.download_as == "csv"
    rows = await activity(services.db, wanted, caller.username, _cells if csv else _members)
    headers = {
        "Content-Disposition": f"attachment; filename=artifact_downloads.{data.download_as}",
        "Cache-Control": "private, no-cache",
    }
    return Stream(
        _csv(rows) if csv else _json(rows), media_type="text/csv" if csv else "application/json", headers=headers
    )


async def _json(rows: AsyncIterator[list[Row]]) -> AsyncIterator[bytes]:
    yield b'{"downloaded_items":['
    between = ""
    async for batch in rows:
        if batch:
            yield (between + ",".join([f'{{"time":"{time}",{rest}}}' for time, rest in batch])).encode()
            between = ","
    yield b"]}"


def _members(part: Part) -> str:
    return msgspec.json.encode(part).decode()[1:-1]


async def _csv(rows: AsyncIterator[list[Row]]) -> AsyncIterator[bytes]:
    yield csv_lines([COLUMNS])
    async for batch in rows:
        yield "".join([f"{time},{rest}\r\n" for time, rest in batch]).encode()


def _cells(part: Part) -> str:
    # behind an empty cell: a line that is nothing but one would be written with quotes
    return csv_lines([["", *map(_cell, msgspec.structs.astuple(part))]]).decode()[1:-2]


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return " ".join(f"{kind}={token}" for kind, texts in value.items() for token in texts.split())
    return " ".join(value) if isinstance(value, list) else value


HANDLERS = [artifact_downloads]
