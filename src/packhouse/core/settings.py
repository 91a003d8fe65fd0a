"""Settings: one structure, read from a TOML file and from `PACKHOUSE_*` in the environment.

The environment wins over the file; an empty variable sets nothing. Every setting has a line in `DESCRIPTIONS`, from
which the reference page is generated; one without it fails the build.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from packhouse.core.errors import PackhouseError

PREFIX = "PACKHOUSE_"
#: 32 bytes as people copy them
HEX_KEY = re.compile(r"[0-9a-fA-F]{64}")
_HOST_AND_PORT = re.compile(r"([^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):\d{1,5}")
#: variables that steer our own test suites
_TESTS = PREFIX + "TEST_"

DESCRIPTIONS: dict[str, str] = {
    "data_dir": "Folder of this node: the embedded database, packages, caches and spools.",
    "database_url": "`sqlite:///FILE` (default: in the data folder) or `postgresql://USER:PASSWORD@HOST/DATABASE`.",
    "blob_url": "Where package bytes lie: `file:///FOLDER` (default: in the data folder) or `s3://BUCKET[/PREFIX]`.",
    "s3_endpoint": "Address of the S3 service, when it is not the default of the region.",
    "s3_access_key": "Access key of the S3 service. Secret.",
    "s3_secret_key": "Secret key of the S3 service. Secret.",
    "s3_region": "Region of the S3 bucket.",
    "s3_cache_bytes": "Size in bytes of the local read-through cache for packages on S3.",
    "host": "Address or name of this machine that the server listens on; `0.0.0.0` or `::` for all of them.",
    "port": "TCP port the server listens on; 0 takes a free one.",
    "public_url": "Address people use, such as `https://packages.example.org`; needed behind a proxy.",
    "tls_cert": "PEM file with the certificate that the server shows, then those that lead to its authority; "
    "empty: plain http, for this machine or behind a reverse proxy.",
    "tls_key": "PEM file with the private key of `tls_cert`, without a pass phrase.",
    "tls_self_signed": "Whether the server shows a certificate that it makes itself, in `tls` of the data folder.",
    "trusted_proxies": "Comma-separated addresses or networks of reverse proxies whose `X-Forwarded-For` is believed.",
    "admin_password": "First password of the user `admin`; read only when that user is created. Secret.",
    "secret_key": "64 hexadecimal digits, the same on all machines, that open what is sealed in the database; "
    "empty: those in `secret.key` of the data folder, which the first start makes. Secret.",
    "identity_file": "TOML file with the identity providers people sign in through (OpenID Connect, LDAP); "
    "empty: `identity.toml` in the data folder, if there is one.",
    "default_channel_privacy": "Who sees the channel that each new user gets: `private`, `authenticated` or `public`.",
    "api_key_days": "How long a key that a command line was given works, in days.",
    "login_hours": "How long a browser stays signed in at most, in hours; unused for 12 hours it is signed out sooner.",
    "trust_days": "How long somebody who signs in through a provider may use logins, tokens and API keys after it last "
    "vouched for them, in days.",
    "service_account_autocreate": "Whether each new channel gets an account for machines at once.",
    "export_cron": "When the audit trail is written to a file, as five fields of crontab in UTC; empty: never.",
    "export_target": "Where these files lie: `file:///FOLDER`, or `s3://BUCKET[/PREFIX]` at the S3 service of the "
    "packages, best a bucket that keeps what it was given.",
    "export_format": "`json`, which can be checked, or `csv` for spreadsheets.",
    "download_days": "How long single downloads are kept, in days (SQLite: in whole months); counts, and who has which "
    "file, are kept for ever.",
    "upload_bytes": "Largest upload in bytes.",
    "sweep_grace_seconds": "How long content without an owner is kept before its bytes are deleted, in seconds.",
    "shrink_guard_percent": "A run of a mirror or feed that would remove more than this share, in percent, asks first.",
    "mirror_concurrency": "Downloads of one mirror run at the same time.",
    "allowed_private_hosts": "Comma-separated `host:port` of private addresses that mirrors and webhooks may name.",
    "feeds": "Comma-separated feeds of advisories: `http(s)` addresses, or files and folders of this machine.",
    "default_feeds": "Whether an installation begins with the public feeds: OSV for PyPI and CRAN, and CISA KEV.",
    "smtp_host": "Mail server that takes what is sent to people; empty: no mail is sent.",
    "smtp_port": "TCP port of the mail server; usually 587 with `starttls`, 465 with `tls`, 25 with `none`.",
    "smtp_tls": "`starttls`, `tls` (from the first byte) or `none`, which is for a relay without a password.",
    "smtp_ca_bundle": "PEM file with the authorities that sign the mail server's certificate; empty: the system's.",
    "smtp_username": "User at the mail server; empty: no login.",
    "smtp_password": "Password at the mail server. Secret.",
    "smtp_from": "Address that mail comes from, for example `packhouse@example.org`.",
    "log_format": "`text` for people, `json` for log collectors.",
    "log_level": "`debug`, `info`, `warning` or `error`.",
}

SECRET = frozenset(
    {"s3_access_key", "s3_secret_key", "admin_password", "secret_key", "smtp_password", "database_url", "feeds"}
)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. See `DESCRIPTIONS` for what each means and its unit; `load` checks them against these types."""

    data_dir: Path
    database_url: Annotated[str, Meta(pattern=r"^$|^sqlite:///.|^postgres(ql)?://.")] = ""
    blob_url: Annotated[str, Meta(pattern=r"^$|^file://(localhost)?/.|^s3://.")] = ""
    s3_endpoint: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_region: str = "us-east-1"
    s3_cache_bytes: Annotated[int, Meta(ge=0)] = 10 * 2**30
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    public_url: Annotated[str, Meta(pattern=r"^$|^https?://[^\s/?#@]+/?$")] = ""
    tls_cert: str = ""
    tls_key: str = ""
    tls_self_signed: bool = False
    trusted_proxies: str = ""
    admin_password: str = ""
    secret_key: Annotated[str, Meta(pattern=rf"^$|^{HEX_KEY.pattern}$")] = ""
    identity_file: str = ""
    default_channel_privacy: Literal["private", "authenticated", "public"] = "private"
    api_key_days: Annotated[int, Meta(ge=1, le=366)] = 90
    login_hours: Annotated[int, Meta(ge=1, le=8760)] = 168
    trust_days: Annotated[int, Meta(ge=1, le=3660)] = 30
    service_account_autocreate: bool = False
    export_cron: str = ""
    export_target: Annotated[str, Meta(pattern=r"^$|^file://(localhost)?/.|^s3://.")] = ""
    export_format: Literal["json", "csv"] = "json"
    download_days: Annotated[int, Meta(ge=1, le=36_500)] = 400
    upload_bytes: Annotated[int, Meta(ge=1)] = 20 * 2**30
    sweep_grace_seconds: Annotated[int, Meta(ge=0)] = 3600
    shrink_guard_percent: Annotated[int, Meta(ge=0, le=100)] = 50
    mirror_concurrency: Annotated[int, Meta(ge=1, le=1000)] = 32
    allowed_private_hosts: str = ""
    feeds: str = ""
    default_feeds: bool = True
    smtp_host: str = ""
    smtp_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_bundle: str = ""
    smtp_username: str = ""
    smtp_password: str = ""
    smtp_from: str = ""
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: no setting: where each setting that is not a default came from, for messages
    origins: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        folder = self.data_dir.absolute()
        derived = {"database_url": f"sqlite:///{folder / 'packhouse.db'}", "blob_url": (folder / "blobs").as_uri()}
        for name, value in derived.items():
            if not getattr(self, name):
                msgspec.structs.force_setattr(self, name, value)
        msgspec.structs.force_setattr(self, "data_dir", folder)

    @property
    def private_hosts(self) -> frozenset[str]:
        """The `host:port` pairs an administrator allowed as private mirror sources. Raises as `proxies` does."""
        found = frozenset(part.strip() for part in self.allowed_private_hosts.split(",") if part.strip())
        for pair in sorted(found):
            if not _HOST_AND_PORT.fullmatch(pair):
                raise PackhouseError(
                    "bad_request",
                    f"The setting {self.origin('allowed_private_hosts')}, cannot be used: {pair!r} is no `host:port`.",
                    "Write the port, too, for example 10.0.0.7:443,packages.lan:8080 or [fd00::7]:443.",
                )
        return found

    @property
    def feed_sources(self) -> tuple[str, ...]:
        """The addresses of `feeds`, paths as `file:` addresses. Raises PackhouseError("bad_request") as `proxies`."""
        found = []
        for part in filter(None, (part.strip() for part in self.feeds.split(","))):
            if "://" not in part:
                found.append(Path(part).absolute().as_uri())
            elif re.match(r"https?://[^/]|file://(localhost)?/", part):
                found.append(part)
            else:
                raise PackhouseError(
                    "bad_request",
                    f"The setting {self.origin('feeds')}, cannot be used: one of it is no address of a feed.",
                    "Write http(s) addresses or paths, for example https://feeds.example.org/all.zip,/srv/advisories.",
                )
        return tuple(dict.fromkeys(found))

    @property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `trusted_proxies`. Raises PackhouseError("bad_request"); `load` has looked already."""
        names = [part.strip() for part in self.trusted_proxies.split(",") if part.strip()]
        try:
            return tuple(ip_network(name, strict=False) for name in names)
        except ValueError as error:
            raise PackhouseError(
                "bad_request",
                f"The setting {self.origin('trusted_proxies')}, cannot be used: {error}.",
                "Write addresses and networks, for example 10.0.0.7,10.1.0.0/24.",
            ) from None

    def origin(self, name: str) -> str:
        """Return which setting this is and who set it, for a message: "`port`, from the option --port"."""
        return f"`{name}`, {self.origins.get(name, 'its default')}"


def load(environ: Mapping[str, str] = os.environ, file: Path | None = None, **given: Any) -> Settings:
    """Return the settings from `given` (the command's options, they win), the environment, then the TOML file.

    The file is `file`, `$PACKHOUSE_CONFIG`, or `<data_dir>/packhouse.toml` when that exists.
    Raises PackhouseError("bad_request") naming the setting that is unknown or ill-formed, and who set it.
    """
    values: dict[str, Any] = {"data_dir": "packhouse-data"}
    origins: dict[str, str] = {}

    def take(found: Mapping[str, Any], origin: Callable[[str], str]) -> None:
        values.update(found)
        origins.update({name: origin(name) for name in found})

    options = {name: value for name, value in given.items() if value is not None}
    variables = {name: environ[_variable(name)] for name in DESCRIPTIONS if environ.get(_variable(name))}
    path = file or _config_file(environ, Path((values | variables | options)["data_dir"]))
    if path is not None:
        take(_read(path), lambda name: f"from the file {path}")
    take(variables, lambda name: f"from the environment variable {_variable(name)}")
    take(options, lambda name: f"from the option --{'data' if name == 'data_dir' else name.replace('_', '-')}")
    kinds = get_type_hints(Settings, include_extras=True)
    checked = {name: _checked(name, value, kinds[name], origins) for name, value in values.items()}
    settings = Settings(**checked, origins=origins)
    _ = (
        settings.proxies,
        settings.private_hosts,
        settings.feed_sources,
    )  # an ill-formed one is noticed before anything starts
    return settings


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names `PACKHOUSE_*` of the environment that set nothing; those of the test suites are not ours."""
    known = {_variable(name) for name in DESCRIPTIONS} | {PREFIX + "CONFIG"}
    return sorted(
        name for name in environ if name.startswith(PREFIX) and name not in known and not name.startswith(_TESTS)
    )


def similar(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean …?" when one of the known names is close to this one, else an empty text."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"Did you mean {found[0]}?" if found else ""


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _checked(name: str, value: Any, kind: Any, origins: Mapping[str, str]) -> Any:
    """Return the value as its type. Raises PackhouseError("bad_request")."""
    try:
        return Path(value) if kind is Path else msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, TypeError) as error:
        shown = "not shown, as it may be secret" if name in SECRET else repr(value)
        why = "it is ill-formed" if "matching regex" in str(error) else f"{error}".lower()
        raise PackhouseError(
            "bad_request",
            f"The setting `{name}`, {origins[name]}, cannot be used ({shown}): {why}.",
            f"It means: {DESCRIPTIONS[name]}",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    """Return what the file sets. Raises PackhouseError("bad_request") when it is no TOML or names another setting."""
    try:
        found = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise PackhouseError(
            "bad_request", f"The settings file {path} cannot be read: {why}.", "Correct it (TOML: `name = value`)."
        ) from None
    for name in found.keys() - DESCRIPTIONS.keys():
        raise PackhouseError(
            "bad_request",
            f"The settings file {path} has `{name}`, which is no setting.",
            similar(name, DESCRIPTIONS) or f"Settings are: {', '.join(DESCRIPTIONS)}.",
        )
    return found


def _config_file(environ: Mapping[str, str], data_dir: Path) -> Path | None:
    if named := environ.get(PREFIX + "CONFIG"):
        return Path(named)
    beside = data_dir / "packhouse.toml"
    return beside if beside.is_file() else None
