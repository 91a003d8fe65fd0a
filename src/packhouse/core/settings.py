"""Settings: one structure, read from a TOML file and from `PACKHOUSE_*` in the environment.

The environment wins over the file. Every field has a line in `DESCRIPTIONS`, from which the reference page is
generated; a field without one fails the build.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from packhouse.core.errors import PackhouseError

PREFIX = "PACKHOUSE_"

DESCRIPTIONS: dict[str, str] = {
    "data_dir": "Folder of this node: the embedded database, packages, caches, spools and the signing secret.",
    "database_url": "`sqlite:///FILE` (default: in the data folder) or `postgresql://USER:PASSWORD@HOST/DATABASE`.",
    "blob_url": "Where package bytes lie: `file:///FOLDER` (default: in the data folder) or `s3://BUCKET[/PREFIX]`.",
    "s3_endpoint": "Address of the S3 service, when it is not the default of the region.",
    "s3_access_key": "Access key of the S3 service. Secret.",
    "s3_secret_key": "Secret key of the S3 service. Secret.",
    "s3_region": "Region of the S3 bucket.",
    "s3_cache_bytes": "Size in bytes of the local read-through cache for packages on S3.",
    "host": "Address the server listens on.",
    "port": "TCP port the server listens on.",
    "public_url": "The address users see (scheme, host, port), for links in answers. Empty: taken from the request.",
    "admin_password": "First password of the user `admin`; read only when that user is created. Secret.",
    "upload_bytes": "Largest upload in bytes.",
    "sweep_grace_seconds": "How long content without an owner is kept before its bytes are deleted, in seconds.",
    "shrink_guard_percent": "A mirror run that would remove more than this share of its files stops and asks.",
    "mirror_concurrency": "Downloads of one mirror run at the same time.",
    "allowed_private_hosts": "Comma-separated `host:port` of private addresses that mirror sources may name.",
    "log_format": "`text` for people, `json` for log collectors.",
    "log_level": "`debug`, `info`, `warning` or `error`.",
}

SECRET = frozenset({"s3_access_key", "s3_secret_key", "admin_password", "database_url"})


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings, validated. See `DESCRIPTIONS` for what each means and its unit."""

    data_dir: Path
    database_url: str = ""
    blob_url: str = ""
    s3_endpoint: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_region: str = "us-east-1"
    s3_cache_bytes: int = 10 * 2**30
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    admin_password: str = ""
    upload_bytes: int = 20 * 2**30
    sweep_grace_seconds: int = 3600
    shrink_guard_percent: int = 50
    mirror_concurrency: int = 32
    allowed_private_hosts: str = ""
    log_format: str = "text"
    log_level: str = "info"

    def __post_init__(self) -> None:
        folder = self.data_dir.absolute()
        derived = {"database_url": f"sqlite:///{folder / 'packhouse.db'}", "blob_url": f"file://{folder / 'blobs'}"}
        for name, value in derived.items():
            if not getattr(self, name):
                msgspec.structs.force_setattr(self, name, value)
        msgspec.structs.force_setattr(self, "data_dir", folder)

    @property
    def private_hosts(self) -> frozenset[str]:
        """The `host:port` pairs an administrator allowed as private mirror sources."""
        return frozenset(part.strip() for part in self.allowed_private_hosts.split(",") if part.strip())


def load(environ: Mapping[str, str] = os.environ, file: Path | None = None, **given: Any) -> Settings:
    """Return the settings from `given` (wins), the environment, then the TOML file.

    The file is `file`, `$PACKHOUSE_CONFIG`, or `<data_dir>/packhouse.toml` when that exists.
    Raises PackhouseError("bad_request") naming the setting that is unknown or ill-formed.
    """
    values: dict[str, Any] = {
        name: environ[PREFIX + name.upper()] for name in DESCRIPTIONS if PREFIX + name.upper() in environ
    }
    values.update({name: value for name, value in given.items() if value is not None})
    values.setdefault("data_dir", "packhouse-data")
    path = file or _config_file(environ, Path(values["data_dir"]))
    try:
        if path is not None:
            values = {**tomllib.loads(path.read_text()), **values}
        values["data_dir"] = str(values["data_dir"])
        return msgspec.convert(values, Settings, strict=False, dec_hook=lambda kind, value: kind(value))
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, OSError) as error:
        raise PackhouseError(
            "bad_request", f"The settings cannot be read: {error}.", "See the settings page."
        ) from None


def _config_file(environ: Mapping[str, str], data_dir: Path) -> Path | None:
    if named := environ.get(PREFIX + "CONFIG"):
        return Path(named)
    beside = data_dir / "packhouse.toml"
    return beside if beside.is_file() else None
