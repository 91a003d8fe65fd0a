"""Composes a server from settings: the only place that knows everything."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from packhouse.catalog.audit.chain import seal
from packhouse.catalog.audit.runs import forget_old as forget_old_runs
from packhouse.catalog.changes import Change, ChangeFeed, forget_old
from packhouse.catalog.grants import codes, devices, signing_keys
from packhouse.catalog.identities.attempts import forget_old as forget_old_attempts
from packhouse.catalog.identities.federated import let_go
from packhouse.catalog.installation.audit_key import load_signing_key
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins import logins
from packhouse.catalog.logins.throttle_store import forget_full, forget_places
from packhouse.catalog.mirrors.origins import forget_unused
from packhouse.catalog.notifications.outbox import forget_old as forget_old_digests
from packhouse.catalog.packages.downloads import forget_old_chunks
from packhouse.catalog.tokens.uses import Uses
from packhouse.core import log
from packhouse.core.blobs import local_folder, open_store
from packhouse.core.clock import DAY
from packhouse.core.db import Database, open_database
from packhouse.core.db.files import keep_private, require_writable
from packhouse.core.db.migrating import has_schema, migrate
from packhouse.core.directory import require as require_ldap
from packhouse.core.errors import PackhouseError
from packhouse.core.jobs import Periodic, Timetable, Worker, forget
from packhouse.core.leases import forget_ended
from packhouse.core.processes import end_with_parent
from packhouse.core.sealing import Sealer
from packhouse.core.settings import Settings, load
from packhouse.doors.api import Api, management_words
from packhouse.doors.asgi import App, Receive, Scope, Send
from packhouse.doors.credentials import mask
from packhouse.doors.entrance import Entrance
from packhouse.doors.origins import Origins
from packhouse.doors.proxies import Proxies
from packhouse.doors.serve import Door, Repository
from packhouse.doors.serve.answers import Answers
from packhouse.doors.serve.conda import CondaDoor
from packhouse.doors.serve.forms import FormDoor
from packhouse.doors.serve.packages import PackageFiles
from packhouse.doors.serve.putting import PutDoor
from packhouse.doors.serve.python import PythonDoor
from packhouse.formats.archives.sandbox import Sandbox
from packhouse.workflows.admitting.authenticator import Authenticator
from packhouse.workflows.channels.deleting import clear_deleted
from packhouse.workflows.delivering.counting import DownloadCounter
from packhouse.workflows.delivering.files import Files
from packhouse.workflows.delivering.gate import Gate
from packhouse.workflows.delivering.notices import Notices
from packhouse.workflows.delivering.sidecars import Sidecars
from packhouse.workflows.feeding.managing import ensure_feeds
from packhouse.workflows.feeding.run import feed_handlers
from packhouse.workflows.feeding.schedule import schedule_feeds
from packhouse.workflows.indexing.publishing import Publisher
from packhouse.workflows.indexing.reading import IndexReader
from packhouse.workflows.judging import duty
from packhouse.workflows.maintaining.belonging import require_own_key, require_own_store
from packhouse.workflows.maintaining.sealing import seal_readable
from packhouse.workflows.maintaining.sweep import clean_daily, sweep
from packhouse.workflows.mirroring.fetching import OnDemand
from packhouse.workflows.mirroring.listing import Listings
from packhouse.workflows.mirroring.run import mirror_handlers
from packhouse.workflows.mirroring.schedule import schedule_mirrors
from packhouse.workflows.notifying.gathering import gather_news
from packhouse.workflows.notifying.sending import send_due
from packhouse.workflows.people.accounts import ensure_admin
from packhouse.workflows.reporting.exporting import check_schedule, export_due
from packhouse.workflows.reporting.identification import Identification
from packhouse.workflows.reporting.retention import keep_downloads
from packhouse.workflows.services import Services
from packhouse.workflows.signin.directory.logging_in import log_in
from packhouse.workflows.signin.directory.syncing import synchronise_due
from packhouse.workflows.signin.identity import OidcProvider, Provider, directories
from packhouse.workflows.signin.identity import load as load_identity
from packhouse.workflows.signin.oidc.federation import Federation

_log = log.get_logger(__name__)
SWEEPS_A_DAY = 96
#: how long a job that ended can be looked at, in days
HISTORY_DAYS = 30
#: how long somebody stays at home where they signed in, in days
HOME_DAYS = 365


def build_services(settings: Settings, *, create: bool = False, people: bool = True) -> Services:
    """Return the ground of one process. The schema is brought up to date; nothing else is dialled or started.

    With `create` an installation is made where there is none; without `people` the identity file, which says who else
    vouches for them, is not read. Raises PackhouseError: `not_found` without `create`,
    `bad_request` for folders that cannot be used, and what `migrate` and `open_store` raise.
    """
    providers = _providers(settings) if people else ()
    try:
        _prepare(settings, create)
    except PackhouseError as error:
        if error.code == "try_later":
            error.hint = f"Check {settings.origin('database_url')}."
        raise
    db = open_database(settings.database_url)
    blobs = open_store(
        settings.blob_url,
        data_dir=settings.data_dir,
        endpoint=settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        region=settings.s3_region,
        cache_bytes=settings.s3_cache_bytes,
    )
    feed = ChangeFeed(db)
    index = IndexReader(db, feed, settings.data_dir / "cache" / "index")
    publisher = Publisher(db, index.published)
    return Services(settings, db, blobs, Sandbox(), feed, index, publisher, Sealer(settings), providers)


def _providers(settings: Settings) -> tuple[Provider, ...]:
    """Return who else vouches for people. Raises PackhouseError("bad_request")."""
    found = load_identity(settings)
    if directories(found):
        require_ldap()
    return found


def _prepare(settings: Settings, create: bool) -> None:
    """Make what every process finds: the folders and the current schema."""
    if not create or has_schema(settings.database_url):
        require_installation(settings)
    make_folder(settings.data_dir, settings.origin("data_dir"))
    if folder := local_folder(settings.blob_url):
        make_folder(folder, settings.origin("blob_url"))
    require_writable(settings.database_url)
    migrate(settings.database_url)
    keep_private(settings.database_url)


def require_installation(settings: Settings) -> None:
    """Raise PackhouseError("not_found") unless the database has our schema and its packages have their folder."""
    if not has_schema(settings.database_url):
        embedded = settings.database_url.startswith("sqlite:")
        place = f"{settings.data_dir} ({settings.origin('data_dir')})"
        raise PackhouseError(
            "not_found",
            f"There is no Packhouse in {place if embedded else settings.origin('database_url')}.",
            f"Name the right place, or make a new one there with `packhouse serve --data {settings.data_dir}`.",
        )
    folder = local_folder(settings.blob_url)
    if folder is not None and not folder.is_dir():
        raise PackhouseError(
            "not_found",
            f"The folder of the packages, {folder} ({settings.origin('blob_url')}), is not there.",
            "Mount its disk, or correct `blob_url` or --data.",
        )


def make_folder(folder: Path, origin: str) -> None:
    """Create a folder unless it is there. Raises PackhouseError("bad_request") when this user cannot work in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise PackhouseError(
            "bad_request",
            f"The folder {folder} ({origin}) cannot be used: {why}.",
            "Name a folder that this user may write to.",
        ) from None


class Server:
    """The ASGI application of one process, with its lifespan."""

    def __init__(self, settings: Settings) -> None:
        self.services = build_services(settings)
        self._entrance: App | None = None
        self._fetching = OnDemand(self.services)
        self._listings = Listings(self.services)
        self._counter = DownloadCounter(self.services.db, settings.data_dir / "spool" / "downloads")
        self._uses: Uses | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Make what the first start makes, and begin to follow the changes of other processes."""
        services = self.services
        feed = services.feed
        keys, elsewhere = await load_keys(services.db, services.sealer), partial(log_in, services)
        trust = services.settings.trust_days * DAY
        authenticator = Authenticator(services.db, keys, lambda: feed.fresh, feed.doubt, elsewhere, trust)
        feed.listen(_forgetting(authenticator), authenticator.clear)
        gate = Gate(services.db, feed)
        files = Files(gate, services.blobs, self._fetching.fetch)
        packages = PackageFiles(files)
        conda = CondaDoor(gate, services.index, Notices(services.db), packages)
        api = Api(services, authenticator)
        services.reserved.update(api.reserved)
        python = PythonDoor(gate, services.index, packages, Sidecars(services, files), self._listings)
        identification = Identification(services.db, feed)
        doors: list[Door] = [python, conda]  # in this order: a project called `acme-tea` looks like a subdir
        proxies = Proxies(services.settings.proxies)
        repository = Repository(
            gate, doors, PutDoor(gate, services), FormDoor(gate, services), self._counter, identification, proxies
        )
        origins = Origins(services.settings)
        self._entrance = Entrance(
            authenticator, Answers(feed, identification), repository, api, management_words(api), proxies, origins
        )
        await services.sandbox.start()
        await feed.poll()
        self._uses = authenticator.uses
        loops = (feed.run(), self._counter.run(), self._uses.run(), clean_daily(services.blobs))
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def stop(self) -> None:
        """Finish what is under way; counts of the last second are folded."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._fetching.close()
        await self._listings.close()
        with suppress(PackhouseError):
            await self._counter.fold()
            if self._uses is not None:
                await self._uses.write()
        await self._counter.close()
        await close(self.services)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._entrance is not None:
            await self._entrance(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            _log.exception("The server process could not start.")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


class WorkerProcess:
    """A process that runs jobs and does the recurring duties of the installation."""

    def __init__(self, settings: Settings) -> None:
        self.services = build_services(settings)

    async def run(self, ended: asyncio.Event) -> None:
        """Work until `ended` is set, then hand back what is not finished."""
        services, name = self.services, f"{socket.gethostname()}-{os.getpid()}"
        await require_own_store(services)
        await require_own_key(services)
        await seal_readable(services)
        await ensure_feeds(services)
        worker = Worker(services.db, mirror_handlers(services), name)
        feeding = Worker(services.db, feed_handlers(services), name, 2)  # not behind hours of mirroring
        timetable = Timetable(services.db, await _duties(services), name)
        await services.feed.poll()
        loops = (worker.run(), feeding.run(), timetable.run(), services.feed.run(), clean_daily(services.blobs))
        tasks = [asyncio.create_task(loop) for loop in loops]
        waiting = asyncio.create_task(ended.wait())
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(worker.stop(), feeding.stop(), timetable.stop())
        for task in (waiting, *tasks):
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await close(services)
        for result in results:
            if isinstance(result, Exception):
                raise result


async def _duties(services: Services) -> list[Periodic]:
    """Return what some process must do every few seconds, with the pause between two calls."""
    key = await load_signing_key(services.db, services.sealer)

    async def sealing() -> None:
        while await seal(services.db, key):
            pass

    async def publishing() -> None:
        await services.publisher.publish_waiting()

    async def judging() -> None:
        await duty.judge(services)

    async def clearing() -> None:
        await clear_deleted(services)

    async def scheduling() -> None:
        await schedule_mirrors(services)

    async def feed_scheduling() -> None:
        await schedule_feeds(services)

    keys, federation = await load_keys(services.db, services.sealer), Federation(services)

    swept = 0

    async def sweeping() -> None:
        # the whole blob store is looked through at the start and once a day; the rest is a few queries
        nonlocal swept
        await sweep(services, listing=swept % SWEEPS_A_DAY == 0)
        swept += 1  # only now: one that was refused or broken off has not looked

    return [
        Periodic("audit sealer", 1.0, sealing),
        Periodic("publisher", 5.0, publishing),
        Periodic("judging", duty.SECONDS, judging),
        Periodic("deleted channels", 5.0, clearing),
        Periodic("mirrors", 1.0, scheduling),
        Periodic("feeds", 1.0, feed_scheduling),
        Periodic("news", 2.0, partial(gather_news, services)),
        Periodic("notifications", 2.0, partial(send_due, services)),
        Periodic("signing keys", 3600.0, partial(signing_keys.rotate, services.db, services.sealer)),
        Periodic("directories", 1.0, partial(synchronise_due, services, directories(services.providers))),
        Periodic("federated logins", 1.0, partial(federation.recheck, keys)),
        Periodic("audit export", 15.0, partial(export_due, services)),
        Periodic("single downloads", 3600.0, partial(keep_downloads, services)),
        Periodic("sweeper", 86_400 / SWEEPS_A_DAY, sweeping),
        Periodic("old rows", 600.0, partial(_forget_old, services.db)),
    ]


async def _forget_old(db: Database) -> None:
    """Delete the rows that are too old to be of use."""
    now = await db.now()
    long_ago = now - HISTORY_DAYS * DAY
    await db.write(partial(forget_ended, before=long_ago))
    await db.write(forget_unused)
    for work in (
        forget_old,
        forget_old_attempts,
        let_go,
        forget_old_runs,
        partial(forget_old_chunks, before=long_ago),
        partial(forget_old_digests, before=long_ago),
        partial(forget, before=long_ago),
        partial(forget_full, before=long_ago),
        partial(devices.forget_old, before=long_ago),
        partial(codes.forget_old, before=long_ago),
        partial(logins.forget_old, before=long_ago),  # after what they approved
        partial(signing_keys.forget_old, before=long_ago),
        partial(forget_places, before=now - HOME_DAYS * DAY),
    ):
        while await db.write(work):
            pass


def create_from_environment() -> Server:
    """Return the application for a server process that another one started; the environment has the settings."""
    end_with_parent()
    settings = load()
    log.configure(settings.log_format, settings.log_level, mask)
    return Server(settings)


async def close(services: Services) -> None:
    """Let go of everything a process holds."""
    services.sandbox.close()
    services.publisher.close()
    await services.db.close()


def _forgetting(authenticator: Authenticator) -> Callable[[Change], None]:
    def forget(change: Change) -> None:
        if change.kind in ("account", "token", "login", "people"):
            authenticator.forget(change.kind, change.name)

    return forget


def _warn_of_readable(providers: Iterable[Provider]) -> None:
    for one in providers:
        if isinstance(one, OidcProvider) and one.readable:
            _log.warning(
                f"The provider {one.name!r} is asked without TLS: who listens on the way reads the client's secret and"
                " the tokens of whoever signs in. Let its `issuer` begin with https://.",
                issuer=one.issuer,
            )


async def prepare(settings: Settings) -> str | None:
    """Make the installation unless it is there, bring its schema up to date and make the administrator.

    Returns the administrator's password if one was made up. Raises PackhouseError as `build_services`,
    `require_own_store` and `require_own_key`, and `bad_request` when `admin_password` is too short
    or exports of the audit trail cannot be made as they are set.
    """
    check_schedule(settings)
    services = build_services(settings, create=True)
    _warn_of_readable(services.providers)
    try:
        await require_own_store(services)
        await require_own_key(services)
        await seal_readable(services)
        return await ensure_admin(services.db, settings.admin_password or None)
    except PackhouseError as error:
        if error.code == "bad_request":
            error.hint = f"Correct {settings.origin('admin_password')}."
        raise
    finally:
        await close(services)
