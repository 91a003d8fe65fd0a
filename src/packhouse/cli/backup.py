"""`backup`: a copy of an installation on SQLite and a folder, made beside a live server.

The database goes before the packages: what the copied catalogue names stays for an hour after its last owner has gone
(`sweep_grace_seconds`), so the copy has it all. Single downloads go before the database, which knows what they name;
of those of the last second or two it may have the counts without the rows. The key of sealed secrets goes along:
without it they would not open. So do the identity file, the secrets beside it and the certificate made here.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from packhouse.app import require_installation
from packhouse.catalog.downloads.months import DOWNLOADS, month_files
from packhouse.cli.running import settings_of
from packhouse.core import tls
from packhouse.core.blobs import MARKER, copy_folder, local_folder
from packhouse.core.blobs.flushing import flush_folder
from packhouse.core.clock import to_iso, wall_micros
from packhouse.core.db import folder_beside
from packhouse.core.db.backup import copy_database
from packhouse.core.errors import PackhouseError
from packhouse.core.sealing import KEY_FILE
from packhouse.core.settings import PREFIX, Settings
from packhouse.workflows.signin.identity import FILE, files_beside, place

_SQLITE = "sqlite:///"
#: settings that would lead from the copy back to the original
_PLACES = ("data_dir", "database_url", "blob_url", "identity_file")
_PLACE_LINE = re.compile(rf"(?m)^(?=[ \t]*({'|'.join(_PLACES)})[ \t]*=)")


def backup(data: Path | None, to: Path | None) -> int:
    """Copy the installation to a folder that does not exist yet; nobody but this user may read it."""
    settings = settings_of(data)
    minute = str(to_iso(wall_micros()))[:16].replace(":", "")
    target = (to or Path(f"packhouse-backup-{minute}")).absolute()
    folder = _packages(settings)
    draft = target.with_name(target.name + ".unfinished")
    for path in (target, draft):
        if path.exists():
            raise PackhouseError("conflict", f"{path} is there already.", "Name a folder that is not.")
    try:
        draft.mkdir(parents=True)
        count, size = _copy(settings, folder, draft)
        left = _copy_identity(settings, draft) + _own_certificate(settings)
        os.sync()
        draft.rename(target)
        flush_folder(target.parent)
    except OSError as error:
        raise PackhouseError(
            "bad_request", f"{target} cannot be written: {error.strerror}.", "Free or name it."
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    sys.stdout.write(f"Copied the database and {count} packages ({size:,} bytes) to {target}.\n")
    for name in _PLACES:
        if "environment" in settings.origins.get(name, ""):
            sys.stdout.write(f"Unset {PREFIX}{name.upper()} before you use the copy: it names the original.\n")
    for file in left:
        sys.stdout.write(f"Keep a copy of {file} as well: it lies elsewhere.\n")
    sys.stdout.write(f"Check the copy with: packhouse verify --data {target}\n")
    return 0


def _packages(settings: Settings) -> Path:
    """Return the folder of the packages. Raises PackhouseError for what cannot be backed up by this command."""
    folder = local_folder(settings.blob_url)
    if folder is None or not settings.database_url.startswith(_SQLITE):
        raise PackhouseError(
            "bad_request",
            "This command copies SQLite and a folder, and this installation has PostgreSQL or S3.",
            "Run pg_dump (or copy the SQLite file with VACUUM INTO) first, then copy the bucket with its own tools, and"
            f" keep {KEY_FILE} of the data folder or the setting `secret_key` apart from both.",
        )
    require_installation(settings)
    if not (folder / MARKER).is_file():
        raise PackhouseError(
            "conflict",
            f"{folder} is not the store of this installation: it has no `{MARKER}`.",
            "Mount its disk; a server that starts says more.",
        )
    return folder


def _copy(settings: Settings, folder: Path, draft: Path) -> tuple[int, int]:
    """Return how many packages were copied, and their bytes."""
    database = draft / "packhouse.db"
    for month in month_files(settings.database_url):
        beside = folder_beside(f"{_SQLITE}{database}", DOWNLOADS)
        beside.mkdir(exist_ok=True)
        copy_database(month, beside / month.name)
    copy_database(Path(settings.database_url.removeprefix(_SQLITE)), database)
    file = settings.data_dir / "packhouse.toml"
    if file.is_file():
        (draft / file.name).write_text(_PLACE_LINE.sub("# in the original: ", file.read_text()))
    key = settings.data_dir / KEY_FILE
    if key.is_file():
        shutil.copy(key, draft / KEY_FILE)  # with its rights
    made_here = settings.data_dir / tls.FOLDER
    if made_here.is_dir():
        shutil.copytree(made_here, draft / made_here.name)
    return copy_folder(folder, draft / "blobs")


def _copy_identity(settings: Settings, draft: Path) -> list[Path]:
    """Copy who else vouches for people, and the files named there that lie beside; return those that lie elsewhere."""
    source = place(settings)
    if not source.is_file():
        return []
    _copy_private(source, draft / FILE)
    left = []
    for name in files_beside(source):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            left.append(source.parent / name)
        elif (source.parent / name).is_file():
            _copy_private(source.parent / name, draft / name)
    return left


def _copy_private(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)  # with the rights of what this process makes: for its user only


def _own_certificate(settings: Settings) -> list[Path]:
    return [Path(name).absolute() for name in (settings.tls_cert, settings.tls_key) if name]
