"""The exported audit trail, and the script that checks it with nothing of the server."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from packhouse.catalog.audit import chain
from packhouse.catalog.audit.chain import link, seal, verify_chain
from packhouse.catalog.audit.store import record_event
from packhouse.catalog.installation.audit_key import load_signing_key
from packhouse.core.db import Database, Unit, open_database
from packhouse.workflows.reporting.trail import Head, json_lines
from tests.conftest import Backend
from tests.kit.calls import read
from tests.kit.house import House, open_house
from tests.kit.keys import SEALER
from tests.unit.house.sources import ROOT

SCRIPT = ROOT / "scripts" / "verify_audit.py"
MANY = 100_000
#: what JSON writers differ about
ODD = 'quote " slash / back \\ tab \t null \x00 bell \x07 del \x7f lines \u2028 é 🦊 <&>'


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with open_house(backend) as opened:
        await opened.person("owner")
        yield opened


def check(*arguments: object) -> tuple[int, str]:
    """Run the script away from the sources of the server."""
    command = [sys.executable, "-I", str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    return done.returncode, done.stdout + done.stderr


async def sealed(db: Database, events: int, text: str = "made") -> None:
    async def work(unit: Unit) -> None:
        for number in range(events):
            await record_event(
                unit, type="user_created", actor="system", object=f"{text} {number}", data={"n": number, "text": text}
            )

    await db.write(work)
    key = await load_signing_key(db, SEALER)
    while await seal(db, key):
        pass


async def exported(house: House, path: Path, query: str = "") -> dict[str, Any]:
    answer = await house.admin.get(f"/api/events/export{query}")
    assert answer.status == 200, answer.body
    path.write_bytes(answer.body)
    head: dict[str, Any] = json.loads(answer.body.splitlines()[-1])["head"]
    return head


async def test_exports_one_after_the_other_are_one_chain(house: House, tmp_path: Path) -> None:
    db = house.services.db
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    await sealed(db, 30, ODD.replace("\x00", ""))
    head = await exported(house, first)
    await sealed(db, 1)
    await sealed(db, 3)
    last = await exported(house, second, f"?after={head['seq']}")
    shown = await read(house.admin, "/api/events/keys")
    assert shown["head"] == last
    key = ("--key", shown["public_key"])
    assert check(*key, first, second) == (0, f"{last['seq']} events, up to number {last['seq']}: whole\n")
    assert check(*key, second)[0] == 0
    assert check(*key, "--head", f"{head['seq']}:{head['hash']}", first)[0] == 0
    assert check(*key, "--head", f"{last['seq']}:{last['hash']}", first)[0] == 1, "its end was cut off"
    assert check(*key, second, first)[0] == 1
    assert check("--key", "ab" * 32, first)[0] == 1, "somebody else's key"
    later = await exported(house, first, f"?after={last['seq']}")
    assert (later, check(*key, second, first)[0]) == (last, 0), "nothing happened"


async def test_events_sealed_before_their_source_counted_stay_whole(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, export = house.services.db, tmp_path / "1.jsonl"

    async def move() -> None:
        await db.write(
            lambda unit: record_event(
                unit, type="artifact_moved", actor="ann", object="one", channel_id=1, source_id=2, data={}
            )
        )
        await sealed(db, 1)

    with monkeypatch.context() as before:
        before.setattr(chain, "link", lambda previous, fields: link(previous, fields[:7]))
        await move()
    await move()
    await exported(house, export)
    moved = [line["event"] for line in map(json.loads, export.read_text().splitlines()[1:-1])]
    assert [event[7:] for event in moved if event[2] == "artifact_moved"] == [[], [2]]
    shown = await read(house.admin, "/api/events/keys")
    assert check("--key", shown["public_key"], export)[0] == 0
    key = (await load_signing_key(db, SEALER)).public_key()
    assert [wrong async for wrong in verify_chain(db, key)] == []
    export.write_text(export.read_text().replace(',"{}",2]', ',"{}",3]'))
    assert check("--key", shown["public_key"], export)[0] == 1


async def test_what_was_filtered_is_told_and_is_no_chain(house: House, tmp_path: Path) -> None:
    await sealed(house.services.db, 5)
    await exported(house, tmp_path / "some", "?type=user_created&actor=system&since=1970-01-01")
    lines = (tmp_path / "some").read_text().splitlines()
    assert [json.loads(line)["event"][5] for line in lines[1:-1]][-5:] == [f"made {n}" for n in range(5)]
    key = (await read(house.admin, "/api/events/keys"))["public_key"]
    assert "filtered" in check("--key", key, tmp_path / "some")[1]
    table = await house.admin.get("/api/events/export?download_as=csv&type=user_created&actor=system")
    assert table.body.splitlines()[0] == b"number,id,time,type,actor,object,data,hash,signature"
    assert len(table.body.splitlines()) == len(lines) - 1
    refused = await house.admin.get("/api/events/export?after=999999")
    assert (refused.status, refused.json()["code"]) == (400, "bad_request")


async def test_only_who_may_read_the_audit_log_exports_it(house: House) -> None:
    for path in ("/api/events/export", "/api/events/keys"):
        assert (await house.web.get(path)).status == 401
        assert (await house.as_("owner").get(path)).status == 403


def test_the_script_can_be_read_by_who_relies_on_it() -> None:
    assert len(SCRIPT.read_text().splitlines()) <= 100


def _altered(lines: list[bytes], at: int) -> None:
    lines[at] = lines[at].replace(b"made", b"MADE", 1)


def _removed(lines: list[bytes], at: int) -> None:
    del lines[at]


def _reordered(lines: list[bytes], at: int) -> None:
    lines[at], lines[at + 1] = lines[at + 1], lines[at]


def _cut_off(lines: list[bytes], at: int) -> None:
    del lines[at:]


def _forged_to_the_end(lines: list[bytes], at: int) -> None:
    """Alter one and hash all that follow again, which only the signatures tell."""
    _altered(lines, at)
    digest = bytes.fromhex(json.loads(lines[at - 1])["hash"])
    for number in range(at, len(lines) - 1):
        line = json.loads(lines[number])
        event = json.dumps(line["event"], ensure_ascii=False, separators=(",", ":")).encode()
        digest = hashlib.sha256(digest + event).digest()
        lines[number] = json.dumps({**line, "hash": digest.hex()}).encode()
    head = json.loads(lines[-1])["head"]
    lines[-1] = json.dumps({"head": {**head, "hash": digest.hex()}}).encode()


async def test_of_100_000_one_that_was_tampered_with_is_found(tmp_path: Path) -> None:
    from packhouse.core.db.migrating import migrate

    url = f"sqlite:///{tmp_path / 'packhouse.db'}"
    migrate(url)
    db = open_database(url)
    key = (await load_signing_key(db, SEALER)).public_key().public_bytes_raw().hex()
    await sealed(db, MANY)
    whole = b"".join([lines async for lines in json_lines(db, Head(0, "", None, None), {})]).splitlines()
    await db.close()
    assert len(whole) > MANY
    (tmp_path / "export").write_bytes(b"\n".join(whole))
    assert check("--key", key, tmp_path / "export")[0] == 0
    chances = random.Random(4)
    tricks: list[Callable[[list[bytes], int], None]] = [_altered, _removed, _reordered, _cut_off, _forged_to_the_end]
    for trick in tricks:
        lines = list(whole)
        trick(lines, chances.randrange(2, MANY - 2))
        (tmp_path / "export").write_bytes(b"\n".join(lines))
        code, said = check("--key", key, tmp_path / "export")
        assert code == 1, (trick.__name__, said[-300:])
