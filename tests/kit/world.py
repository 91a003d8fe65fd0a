"""Random people at work in a whole server: they upload, mirror, copy, remove, advise, decide, waive and reserve.

The world remembers what it did, and nothing of what that should lead to: that says `tests.kit.oracle`, from which files
each channel has (as the catalogue says) and from what the world remembers of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packhouse.core.errors import PackhouseError
from packhouse.workflows.curating.curation import Decision, decide
from packhouse.workflows.curating.quarantine import hold_back, let_go
from packhouse.workflows.governing import policies
from packhouse.workflows.governing.reserving import create_reservation, delete_reservation
from packhouse.workflows.governing.waiving import Wanted, create_waiver, end_waiver
from packhouse.workflows.publishing.moving import copy, remove
from packhouse.workflows.publishing.selection import Item
from tests.kit.chances import FLAWS, KNOWN, NAMES, STATUSES, VERSIONS, Chance
from tests.kit.condapkg import OMIT, make_conda, make_tarbz2
from tests.kit.feeding import HIGH, LOW, add_feed, kev, osv, take
from tests.kit.house import House
from tests.kit.judging import advise
from tests.kit.mirroring import CondaSource, add_mirror, run_and_wait
from tests.kit.oracle import DAY, Case, File, Flaw, Spec, Waived, numbers

CHANNELS = ("plain", "first", "second")
MIRRORED = CHANNELS[1:]
VECTORS = {98: HIGH, 75: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 18: LOW}
_FILES = """SELECT c.path, e.partition, e.filename, e.uploaded, e.first_seen_at, e.content_id FROM entry e
 JOIN channel c ON c.id = e.channel_id"""

Act = Callable[[], Awaitable[None]]


@dataclass
class Advisory:
    """What a feed says of a flaw: which versions of a package have it."""

    flaw: Flaw
    name: str
    start: str
    end: str

    def holds(self, file: File) -> bool:
        """Say whether a file has the flaw."""
        known = file.name == self.name and file.name in KNOWN
        return known and numbers(self.start) <= numbers(file.version) < numbers(self.end)

    def record(self) -> dict[str, Any]:
        """Return it as OSV says it."""
        flaw = self.flaw
        return osv(
            0,
            id=flaw.aliases[0] if flaw.aliases else flaw.key,
            aliases=[flaw.key] if flaw.aliases else [],
            severity=[{"type": "CVSS_V3", "score": VECTORS[flaw.score]}] if flaw.score is not None else [],
            affected=[
                {
                    "package": {"ecosystem": "PyPI", "name": self.name},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": self.start}, {"fixed": self.end}]}],
                }
            ],
        )


class World:
    """Three channels, two of them with a mirror, and everything that was said about what is in them."""

    def __init__(self, house: House, folder: Path, seed: int) -> None:
        self.house, self.folder = house, folder
        self.chance = Chance(seed)
        self.rng = self.chance.rng
        self.files: dict[str, File] = {}  #: what each file says of itself, by ckey: the same in every channel
        self.bytes: dict[str, bytes] = {}
        self.sources = {path: CondaSource() for path in MIRRORED}
        self.mirrors: dict[str, Any] = {}
        self.advisories: dict[str, Advisory] = {}
        self.exploited = False
        self.said: dict[tuple[str, str, str], tuple[str, int]] = {}  #: key, name, spec or SHA-256 → status, when
        self.policies: dict[str, dict[str, Any]] = {}
        self.assigned: dict[str, str] = {}
        self.waivers: dict[str, tuple[str | None, Waived]] = {}
        self.ends: dict[str, float] = {}  #: of waivers, in days
        self.reserved: dict[int, tuple[str | None, str]] = {}
        self.quarantined: set[str] = set()
        self.days = 0.0
        self.done: list[str] = []

    async def open(self) -> None:
        """Make the channels, their mirrors and the feeds, and begin with some files and a policy."""
        services = self.house.services
        for path in CHANNELS:
            await self.house.channel(path)
        for path in MIRRORED:
            self._offer(path, 6)
            channel = await self.house.find(path)
            self.mirrors[path] = await add_mirror(services, channel, self._source(path).as_uri(), mode="passive")
            await run_and_wait(services, self.mirrors[path])
        for _ in range(6):
            await self._upload()
        await self._advise()
        (self.folder / "kev.json").write_bytes(kev("CVE-1999-0001"))
        await add_feed(services, (self.folder / "kev.json").as_uri(), "kev")
        await take(services, "kev")
        await self.govern()

    async def act(self, beside: Act | None = None) -> None:
        """Do one thing, and something beside it; not while days pass at once, as they never do beside anything."""
        often = [self.upload] * 4 + [self.mirror] * 3 + [self.govern] * 4 + [self.advisory] * 3 + [self.copy] * 3
        twice = [self.edit, self.state, self.waive, self.wait] * 2
        once = [
            self.remove, self.kev, self.end_waiver, self.reserve, self.unreserve, self.quarantine, self.release,
            self.unassign, self.fetch,
        ]  # fmt: skip
        act = self.rng.choice([*often, *twice, *once])
        self.done.append(act.__name__)
        if beside and act != self.wait:
            await asyncio.gather(act(), beside())
        else:
            await act()

    # ------------------------------------------------------------ files

    def _file(self) -> File:
        """Draw a file, the same as before where there was one of its name."""
        drawn = self.chance.file()
        drawn = replace(drawn, published=drawn.published * 1_000_000 if drawn.published else None)
        return self.files.setdefault(drawn.ckey, drawn)

    def _bytes(self, file: File) -> bytes:
        if file.ckey not in self.bytes:
            make = make_tarbz2 if file.legacy else make_conda
            payload = {f"share/{file.name}": file.ckey.encode()}
            if file.install_code:
                payload[f"bin/.{file.name}-post-link.sh"] = b"echo\n"
            self.bytes[file.ckey] = make(
                file.name, file.version, file.build, file.subdir, self._depends(file), payload, **self._index(file)
            )
        return self.bytes[file.ckey]

    def _depends(self, file: File) -> list[str]:
        python = [f"python >={file.python[0]},<{file.python[1]}"] if file.python else []
        return [*python, *map(str, file.depends)]

    def _index(self, file: File) -> dict[str, Any]:
        return {
            "license": file.license or OMIT,
            "timestamp": file.published // 1000 if file.published else OMIT,
            "build_number": int(file.build.rpartition("_")[2]),
        }

    async def upload(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            await self._upload()

    async def _upload(self) -> None:
        file, path = self._file(), self.rng.choice(CHANNELS)
        answer = await self.house.admin.put(f"/api/repo/{path}/{file.ckey}", self._bytes(file))
        assert answer.status in (200, 201, 409), answer.body
        self.done.append(f"{path}/{file.ckey} {answer.status}")

    async def mirror(self) -> None:
        path = self.rng.choice(MIRRORED)
        self._offer(path, self.rng.randint(1, 4))
        found = await run_and_wait(self.house.services, self.mirrors[path], accept_shrink=True)
        assert found.state == "completed", found
        self.done[-1] += f" {path}"

    def _offer(self, path: str, count: int) -> None:
        """Let a mirror's source have some further files, and some no more."""
        records = self.sources[path].records
        for _ in range(count):
            file = self._file()
            there = records.setdefault(file.subdir, {})
            if file.filename in there and self.rng.random() < 0.5:
                del there[file.filename]
            elif not file.legacy:
                there[file.filename] = self._record(file)
        named = [f"{subdir}/{filename}" for subdir, found in records.items() for filename in found]
        for place, data in {**self.sources[path].files(), **{ckey: self.bytes[ckey] for ckey in named}}.items():
            (self._source(path) / place).parent.mkdir(parents=True, exist_ok=True)
            (self._source(path) / place).write_bytes(data)

    def _source(self, path: str) -> Path:
        return self.folder / f"source-{path}"

    def _record(self, file: File) -> dict[str, Any]:
        data = self._bytes(file)
        index = {name: value for name, value in self._index(file).items() if value is not OMIT}
        return {
            "name": file.name,
            "version": file.version,
            "build": file.build,
            "subdir": file.subdir,
            "depends": self._depends(file),
            "sha256": hashlib.sha256(data).hexdigest(),
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "size": len(data),
            **({"noarch": "generic"} if file.subdir == "noarch" else {}),
            **index,
        }

    async def _here(self, path: str) -> list[str]:
        return [f"{row[1]}/{row[2]}" for row in await self.house.services.db.fetch_all(_FILES) if row[0] == path]

    async def copy(self) -> None:
        one, other = self.rng.sample(CHANNELS, 2)
        if here := await self._here(one):
            ckey, move = self.rng.choice(sorted(here)), self.rng.random() < 0.2
            source, target = await self.house.find(one), await self.house.find(other)
            item = Item(self.files[ckey].name, ckey=self.rng.choice((None, ckey)))
            with suppress(PackhouseError):  # it has other bytes there
                await copy(self.house.services, source, target, "ann", [item], move=move, hidden=True)

    async def remove(self) -> None:
        path = self.rng.choice(CHANNELS)
        if here := await self._here(path):
            ckey = self.rng.choice(sorted(here))
            await remove(
                self.house.services, await self.house.find(path), "ann", [Item(self.files[ckey].name, ckey=ckey)]
            )

    async def fetch(self) -> None:
        """Ask for a file, which a mirror may have to get first."""
        path = self.rng.choice(MIRRORED)
        if here := await self._here(path):
            answer = await self.house.web.get(f"/api/repo/{path}/{self.rng.choice(sorted(here))}")
            assert answer.status in (200, 403), answer.body

    # ------------------------------------------------------------ what is known

    async def advisory(self) -> None:
        flaw = self.rng.choice(FLAWS)
        if flaw.key in self.advisories and self.rng.random() < 0.4:
            del self.advisories[flaw.key]
        else:
            start, end = sorted(self.rng.sample((*VERSIONS, "9.0"), 2), key=numbers)
            self.advisories[flaw.key] = Advisory(flaw, self.rng.choice(NAMES), start, end)
        await self._advise()

    async def _advise(self) -> None:
        other = osv(9999, "unrelated")
        await advise(self.house.services, self.folder, other, *(one.record() for one in self.advisories.values()))

    async def kev(self) -> None:
        self.exploited = not self.exploited
        named = [FLAWS[0].key] if self.exploited else []
        (self.folder / "kev.json").write_bytes(kev("CVE-1999-0001", *named))
        await take(self.house.services, "kev", accept_shrink=True)

    async def state(self) -> None:
        flaw, status = self.rng.choice(FLAWS), self.rng.choice(STATUSES)
        file = self._file()
        spec, sha256 = "", ""
        if self.rng.random() < 0.3:
            sha256 = hashlib.sha256(self._bytes(file)).hexdigest()
        elif self.rng.random() < 0.7:
            spec = f"{self.rng.choice(('<', '>='))}{self.rng.choice(VERSIONS)}"
        await decide(
            self.house.services, "ann", [Decision(flaw.key, "conda", file.name, status, spec, sha256)]  # type: ignore[arg-type]  # one of STATUSES
        )  # fmt: skip
        place = (flaw.key, file.name, sha256 or spec)
        before = self.said.get(place)
        if status == "reported":
            self.said.pop(place, None)
        elif before is None or before[0] != status:
            self.said[place] = (status, len(self.done))

    async def quarantine(self) -> None:
        file = self._file()
        digest = hashlib.sha256(self._bytes(file)).hexdigest()
        await hold_back(self.house.services, "ann", digest, "looks odd")
        self.quarantined.add(digest)

    async def release(self) -> None:
        if self.quarantined:
            digest = self.rng.choice(sorted(self.quarantined))
            await let_go(self.house.services, "ann", digest)
            self.quarantined.remove(digest)

    # ------------------------------------------------------------ what is decided

    async def govern(self) -> None:
        paths, fields = self.chance.some(CHANNELS), self.chance.fields()
        await self.assign(*paths, fields=fields)

    async def assign(self, *paths: str, fields: dict[str, Any]) -> None:
        """Make a policy and let channels have it."""
        ids = [(await self.house.find(path)).id for path in paths]
        made = await policies.create_policy(self.house.services, "ann", f"policy {len(self.policies)}", "", fields, ids)
        self.policies[made.uuid] = fields
        self.assigned |= dict.fromkeys(paths, made.uuid)
        self.done.append(f"{paths} {fields}")

    async def edit(self) -> None:
        if self.policies:
            uuid = self.rng.choice(sorted(self.policies))
            fields = self.rng.choice((self.chance.fields(), self.rng.choice(sorted(self.policies.values(), key=str))))
            cleared = dict.fromkeys(self.policies[uuid])
            await policies.edit_policy(self.house.services, "ann", uuid, {**cleared, **fields})
            self.policies[uuid] = fields

    async def unassign(self) -> None:
        if self.assigned:
            path = self.rng.choice(sorted(self.assigned))
            uuid = self.assigned.pop(path)
            await policies.unassign_policy(self.house.services, "ann", uuid, [(await self.house.find(path)).id])

    async def waive(self) -> None:
        waived, path = self.chance.waived(), self.rng.choice((None, *CHANNELS))
        channel_id = None if path is None else (await self.house.find(path)).id
        days = self.rng.choice((1, 3, 100))
        spec = str(waived.spec).removeprefix(waived.spec.name).strip()
        wanted = Wanted(
            family="conda",
            name=waived.spec.name,
            spec=spec,
            rules=waived.rules,
            cves=waived.cves,
            reason="because",
            until=await self.house.services.db.now() + days * DAY,
            channel_id=channel_id,
        )
        row = await create_waiver(self.house.services, "ann", wanted)
        self.waivers[row.uuid] = (path, waived)
        self.ends[row.uuid] = self.days + days

    async def end_waiver(self) -> None:
        if standing := [uuid for uuid in self.waivers if self.ends[uuid] > self.days]:
            uuid = self.rng.choice(sorted(standing))
            await end_waiver(self.house.services, "ann", uuid)
            del self.waivers[uuid]

    async def reserve(self) -> None:
        path, pattern = self.rng.choice((None, *CHANNELS)), self.rng.choice(("acme-*", "alfa", "c*"))
        channel_id = None if path is None else (await self.house.find(path)).id
        with suppress(PackhouseError):  # it is reserved already
            row = await create_reservation(self.house.services, "ann", pattern, "", channel_id)
            self.reserved[row.id] = (path, pattern)

    async def unreserve(self) -> None:
        if self.reserved:
            number = self.rng.choice(sorted(self.reserved))
            await delete_reservation(self.house.services, "ann", number)
            del self.reserved[number]

    async def wait(self) -> None:
        """Let days pass: all that time ends comes nearer by as much."""
        days = self.rng.choice((0.75, 2, 6, 31))
        db, back = self.house.services.db, int(days * DAY)

        async def work(unit: Any) -> None:
            await unit.execute("UPDATE overlay SET until = until - :back WHERE until IS NOT NULL", back=back)
            await unit.execute("UPDATE waiver SET until = until - :back", back=back)
            await unit.execute("UPDATE entry SET first_seen_at = first_seen_at - :back", back=back)

        await db.write(work)
        self.days += days
        self.done[-1] += f" {days}"

    # ------------------------------------------------------------ what the oracle is asked

    async def cases(self) -> dict[str, Case]:
        """Return each channel as it is now."""
        now = await self.house.services.db.now()
        found: dict[str, list[File]] = {path: [] for path in CHANNELS}
        for path, partition, filename, uploaded, first_seen, content in await self.house.services.db.fetch_all(_FILES):
            file = self.files[f"{partition}/{filename}"]
            digest = hashlib.sha256(self._bytes(file)).hexdigest()
            found[path].append(
                replace(
                    file,
                    mirrored=not uploaded,
                    held=content is not None,
                    first_seen=first_seen,
                    quarantined=digest in self.quarantined,
                    flaws=self._flaws(file, digest),
                )
            )
        return {
            path: Case(
                files,
                self.policies[self.assigned[path]] if path in self.assigned else None,
                now,
                [pattern for where, pattern in self.reserved.values() if where in (None, path)],
                [
                    one
                    for uuid, (where, one) in self.waivers.items()
                    if where in (None, path) and self.ends[uuid] > self.days
                ],
                self.chance.specs,
            )
            for path, files in found.items()
        }

    def _flaws(self, file: File, digest: str) -> list[tuple[Flaw, str]]:
        return [
            (replace(one.flaw, exploited=self.exploited and one.flaw.exploited), self._status(one.flaw, file, digest))
            for one in self.advisories.values()
            if one.holds(file)
        ]

    def _status(self, flaw: Flaw, file: File, digest: str) -> str:
        """Return what the last word about this one file is, else about such files."""
        alone = self.said.get((flaw.key, file.name, digest))
        if alone:
            return alone[0]
        words = [
            (at, status)
            for (key, name, spec), (status, at) in self.said.items()
            if (key, name) == (flaw.key, file.name) and len(spec) < 64 and self._selects(spec, file)
        ]
        return max(words)[1] if words else "reported"

    def _selects(self, spec: str, file: File) -> bool:
        sign = spec.rstrip("0123456789.")
        return not spec or Spec(file.name, sign, spec.removeprefix(sign)).selects(file)

    def __str__(self) -> str:
        return json.dumps(self.done, default=str)
