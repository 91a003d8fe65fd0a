"""`/api/reports`: what administrators ask for as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import msgspec
from litestar import post
from litestar.params import JSONBody
from litestar.response import Stream

from packhouse.core.clock import to_iso
from packhouse.core.tables import csv_lines
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.parameters import Caller, House, Word, moment
from packhouse.doors.api.problems import refused
from packhouse.workflows.reporting.activity import Activity, Wanted, activity


class DownloadsRequest(Body, kw_only=True):
    """What a report of downloads shall be about; it covers a year at most."""

    from_date: Word  #: ISO 8601
    to_date: Word  #: ISO 8601; a date is included whole
    download_as: Literal["json", "csv"] = "json"
    user_names: list[Word] | None = None  #: empty: everybody
    channel_names: list[Word] | None = None  #: empty: all


class DownloadItem(msgspec.Struct, kw_only=True):
    """One download."""

    time: str  #: RFC 3339
    user_name: str | None  #: null: nobody in particular
    token_id: str | None  #: of the token that was shown, if it was one
    channel_name: str
    family: str
    platform: str
    package: str
    version: str
    filename: str
    sha256: str
    cves: list[str]  #: known of this version when it was downloaded
    address: str
    user_agent: str
    client_tokens: dict[str, str]  #: sent by anaconda-anon-usage and the like, by kind


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
    rows = await activity(services.db, wanted, caller.username)
    csv = data.download_as == "csv"
    headers = {
        "Content-Disposition": f"attachment; filename=artifact_downloads.{data.download_as}",
        "Cache-Control": "private, no-cache",
    }
    return Stream(
        _csv(rows) if csv else _json(rows), media_type="text/csv" if csv else "application/json", headers=headers
    )


async def _json(rows: AsyncIterator[list[Activity]]) -> AsyncIterator[bytes]:
    yield b'{"downloaded_items":['
    between = b""
    async for batch in rows:
        if batch:
            yield between + b",".join([msgspec.json.encode(_item(one)) for one in batch])
            between = b","
    yield b"]}"


async def _csv(rows: AsyncIterator[list[Activity]]) -> AsyncIterator[bytes]:
    yield csv_lines([DownloadItem.__struct_fields__])
    async for batch in rows:
        yield csv_lines(_cells(_item(one)) for one in batch)


def _cells(item: DownloadItem) -> list[object]:
    return [_cell(value) for value in msgspec.structs.astuple(item)]


def _cell(value: object) -> object:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return " ".join(f"{kind}={token}" for kind, texts in value.items() for token in texts.split())
    return " ".join(value) if isinstance(value, list) else value


def _item(one: Activity) -> DownloadItem:
    file = one.file
    return DownloadItem(
        time=to_iso(one.what.at) or "",
        user_name=one.username,
        token_id=one.what.token,
        channel_name=file.channel,
        family=file.family,
        platform=file.partition,
        package=file.name,
        version=file.version,
        filename=file.filename,
        sha256=file.sha256.hex(),
        cves=one.cves,
        address=one.what.address,
        user_agent=one.agent,
        client_tokens=one.tokens,
    )


HANDLERS = [artifact_downloads]
