"""`/api/quarantine`: bytes that somebody holds back by hand, in every channel."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from packhouse.catalog.vulnerabilities import quarantine
from packhouse.core.errors import PackhouseError
from packhouse.doors.api.bodies import Body
from packhouse.doors.api.guard import permitted_channel
from packhouse.doors.api.parameters import PAGE_ITEMS, Caller, House, Limit, Offset, Page, Text, Word, page_size
from packhouse.doors.api.problems import refused
from packhouse.doors.api.shapes.quarantine import CaseShape, QuarantinedShape, case_shape, quarantined_shape
from packhouse.formats import registry
from packhouse.workflows.curating.quarantine import hold_back, let_go, look_at, sha256_of


class QuarantineRequest(Body, kw_only=True):
    """What shall be held back: bytes by their SHA-256, or a file of a channel."""

    reason: Text  #: shown to whoever is refused the file
    sha256: Word | None = None  #: whether anybody has such a file yet or not
    channel: Word | None = None  #: `CH`, or `CH/SUB`
    ckey: Word | None = None  #: `<subdir>/<filename>` in the channel
    family: Word | None = None  #: null: as the `ckey` says


@get("/api/quarantine", tags=["quarantine"], responses=refused())
async def list_quarantined(services: House, limit: Limit = 100, offset: Offset = 0) -> Page[QuarantinedShape]:
    """List what is in quarantine, the latest first."""
    rows, total = await quarantine.page(services.db, limit=page_size(limit), offset=offset)
    return Page([quarantined_shape(row) for row in rows], total)


@post("/api/quarantine", tags=["quarantine"], status_code=200, responses=refused("conflict"))
async def put_there(data: JSONBody[QuarantineRequest], caller: Caller, services: House) -> CaseShape:
    """Hold bytes back in every channel, at once and until they are released; answers who downloaded them before.

    Bytes that are in quarantine stay there as they are. Downloads of the last second or two may be missing from the
    answer: `GET /api/quarantine/{sha256}` counts them.
    """
    if (data.sha256 is None) == (data.channel is None or data.ckey is None):
        raise PackhouseError("bad_request", "Name a `sha256`, or a `channel` and a `ckey`.", "Name one file.")
    sha256 = data.sha256
    if sha256 is None:
        here = await permitted_channel(services.db, caller, "artifact:view", data.channel or "")
        ckey = data.ckey or ""
        sha256 = await sha256_of(services.db, here, data.family or registry.family_of(ckey), ckey)
    return case_shape(await hold_back(services, caller.username, sha256, data.reason), PAGE_ITEMS)


@get("/api/quarantine/{sha256:str}", tags=["quarantine"], responses=refused())
async def show(sha256: FromPath[str], services: House) -> CaseShape:
    """Show bytes in quarantine: why, in which channels, and who downloaded them."""
    return case_shape(await look_at(services.db, sha256), PAGE_ITEMS)


@delete("/api/quarantine/{sha256:str}", tags=["quarantine"], responses=refused())
async def release(sha256: FromPath[str], caller: Caller, services: House) -> None:
    """Release bytes: they are shown again at once, unless another rule hides them."""
    await let_go(services, caller.username, sha256)


HANDLERS = [list_quarantined, put_there, show, release]
