"""`packhouse demo`: a server with something in it, made from what this machine has, without any network."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from msgspec.structs import replace

from packhouse.cli.address import Address, claim
from packhouse.cli.demo.channel import build_upstream
from packhouse.cli.demo.filling import CHANNEL, Api, fill
from packhouse.cli.running import serve, settings_of
from packhouse.core.errors import PackhouseError
from packhouse.core.randomness import random_hex
from packhouse.core.settings import Settings


def demo(data: Path | None, host: str | None, port: int | None) -> None:
    """Build the upstream, serve, fill the channel `demo` by mirroring, and say how to use it.

    Raises PackhouseError when a step fails; starting again goes on with what is done.
    """
    settings = settings_of(
        data or Path("packhouse-demo"), host, port, tls_cert="", tls_key="", tls_self_signed=False
    )  # a demo is plain http: what it prints is to be typed as it stands
    address = claim(settings)
    password = settings.admin_password or _remembered_password(settings)
    settings = replace(settings, admin_password=password, default_feeds=False)  # those are on the network
    serve(settings, address, ready=lambda: _fill(settings, address))


def _upstream(data_dir: Path) -> Path:
    """Return the folder of the upstream channel, made unless an earlier demo did; it is there whole or not at all."""
    folder, unfinished = data_dir / "demo-upstream", data_dir / "demo-upstream.part"
    if not folder.is_dir():
        shutil.rmtree(unfinished, ignore_errors=True)
        build_upstream(unfinished, lambda line: _say(f"  {line}"))
        unfinished.rename(folder)
    return folder


def _remembered_password(settings: Settings) -> str:
    """Return the demonstration's password, made once and kept beside its data.

    Raises PackhouseError, with nothing written: `conflict` for an installation that no demo made, and `bad_request`
    for a folder that cannot be used.
    """
    from packhouse.app import make_folder
    from packhouse.core.db.migrating import has_schema

    data_dir = settings.data_dir
    file, unfinished = data_dir / "demo-password", data_dir / "demo-password.part"
    if not file.is_file():
        if has_schema(settings.database_url):
            said = f"The installation in {data_dir} was made by no demo; its password is not known here."
            raise PackhouseError("conflict", said, _hint(data_dir))
        make_folder(data_dir, settings.origin("data_dir"))
        unfinished.write_text(random_hex(8))
        unfinished.rename(file)
    return file.read_text()


def _hint(data_dir: Path) -> str:
    return (
        "Give the password of `admin` in PACKHOUSE_ADMIN_PASSWORD, or another --data for a new demo; "
        f"`packhouse serve --data {data_dir}` serves what is there."
    )


def _fill(settings: Settings, address: Address) -> None:
    api = Api(address.url)
    try:
        api.login("admin", settings.admin_password)
    except PackhouseError as error:
        if error.code != "unauthenticated":
            raise
        name = settings.origins.get("admin_password", f"kept in {settings.data_dir / 'demo-password'}")
        raise PackhouseError(
            "unauthenticated",
            f"The user `admin` of {settings.data_dir} has another password than the one {name}.",
            _hint(settings.data_dir),
        ) from None
    count = fill(api, _upstream(settings.data_dir))  # only now: nothing is written into what is no demo
    _say(_usage(address, settings.admin_password, count))


def _usage(address: Address, password: str, count: int) -> str:
    url = f"{address.url}/api/repo/{CHANNEL}"
    others = f"\n  From other machines: {address.elsewhere}/api/repo/{CHANNEL}\n" if address.elsewhere else ""
    return f"""
The channel `{CHANNEL}` is ready: {count} packages. User `admin`, password {password}

  conda create -n try --override-channels -c {url} python rich
  micromamba create -n try --override-channels -c {url} python rich
  pixi init try --channel {url} && cd try && pixi add python rich

  or in .condarc:  channel_alias: {address.url}/api/repo
                   channels: [{CHANNEL}]
{others}
  The API is described at {address.url}/api/openapi.json. Stop the server with Ctrl-C.
"""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
