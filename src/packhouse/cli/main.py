"""`packhouse`: the one command. What needs the server's libraries is imported only when it is called."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from packhouse import __version__
from packhouse.core.errors import PackhouseError

app = typer.Typer(
    name="packhouse",
    help="A secure, on-premises repository for conda and Python packages.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Folder of the installation, also PACKHOUSE_DATA_DIR.", show_default="./packhouse-data"
    ),
]
DemoData = Annotated[
    Path | None, typer.Option("--data", help="Folder of the demo, made if needed.", show_default="./packhouse-demo")
]
Host = Annotated[
    str | None,
    typer.Option(
        "--host",
        help="Address or name of this machine to listen on, also PACKHOUSE_HOST; 0.0.0.0 or :: for all of them.",
        show_default="127.0.0.1",
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        help="TCP port to listen on, 0 to 65535, also PACKHOUSE_PORT; 0 takes a free one.",
        show_default="8080",
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"packhouse {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """A secure, on-premises repository for conda and Python packages."""


@app.command()
def serve(
    data: Data = None,
    host: Host = None,
    port: Port = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Number of server processes; more than one pays off on PostgreSQL.")
    ] = 1,
    worker: Annotated[bool, typer.Option(help="Run a worker process beside the server.")] = True,
    tls_cert: Annotated[
        str | None, typer.Option(help="PEM file with the certificate to show, also PACKHOUSE_TLS_CERT: serves https.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(help="PEM file with the key of that certificate, also PACKHOUSE_TLS_KEY.")
    ] = None,
    tls_self_signed: Annotated[
        bool | None,
        typer.Option(
            "--tls-self-signed", help="Serve https with a certificate made here, which clients have to be given."
        ),
    ] = None,
) -> None:
    """Start the server. On the first start it makes the folder and the user `admin`, and prints the password once."""
    running, address = _server_part("packhouse.cli.running"), _server_part("packhouse.cli.address")
    settings = running.settings_of(
        data, host, port, tls_cert=tls_cert, tls_key=tls_key, tls_self_signed=tls_self_signed
    )
    running.serve(settings, address.claim(settings), processes=processes, worker=worker)


@app.command()
def worker(
    data: Data = None,
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run jobs: mirrors, and the duties that keep the installation in order. Any number may run.

    Workers on several machines need PostgreSQL and S3.
    """
    running = _server_part("packhouse.cli.running")
    running.worker(running.settings_of(data), until_stdin_closes=until_stdin_closes)


@app.command()
def demo(data: DemoData = None, host: Host = None, port: Port = None) -> None:
    """Start a server with a channel to try, filled by mirroring a small upstream made on this machine."""
    demo_part = _server_part("packhouse.cli.demo.command")
    demo_part.demo(data, host, port)


@app.command()
def verify(
    data: Data = None,
    deep: Annotated[bool, typer.Option(help="Read and hash every stored byte as well.")] = False,
) -> None:
    """Check the invariants of an installation, beside a live server too. Exits with 1 on a finding."""
    upkeep = _server_part("packhouse.cli.upkeep")
    raise typer.Exit(upkeep.verify(data, deep=deep))


@app.command()
def repair(data: Data = None) -> None:
    """Recompute everything that is derived from the catalogue, and say what differed."""
    upkeep = _server_part("packhouse.cli.upkeep")
    raise typer.Exit(upkeep.repair(data))


@app.command()
def sweep(
    data: Data = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would go.")] = False,
) -> None:
    """Delete stored bytes that no file has owned for a while: PACKHOUSE_SWEEP_GRACE_SECONDS, by default 3600 s."""
    upkeep = _server_part("packhouse.cli.upkeep")
    raise typer.Exit(upkeep.sweep(data, dry_run=dry_run))


@app.command()
def backup(
    to: Annotated[Path | None, typer.Argument(help="Folder to make.", show_default="./packhouse-backup-DATE")] = None,
    data: Data = None,
) -> None:
    """Copy an installation on SQLite and a folder, beside a live server too. The copy is an installation."""
    raise typer.Exit(_server_part("packhouse.cli.backup").backup(data, to))


admin = typer.Typer(help="What an administrator does on the host, when nobody can log in.", no_args_is_help=True)
app.add_typer(admin, name="admin")


@admin.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument(help="Whose password.")],
    data: Data = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read it from the first line of the standard input.")] = False,
    second_factor: Annotated[
        bool, typer.Option("--second-factor", help="Ask for no second factor any more, when that is lost, too.")
    ] = False,
) -> None:
    """Set the password of a user, beside a live server too. Their logins end; an event says that it was done here."""
    part = _server_part("packhouse.cli.admin")
    raise typer.Exit(part.reset_password(data, username, stdin=stdin, second_factor=second_factor))


@admin.command()
def enable(username: Annotated[str, typer.Argument(help="Whose account.")], data: Data = None) -> None:
    """Let a disabled account work again, beside a live server too, whoever disabled it; an event says so."""
    raise typer.Exit(_server_part("packhouse.cli.admin").enable(data, username))


@admin.command("make-administrator")
def make_administrator(
    username: Annotated[str, typer.Argument(help="Who, with an account already.")], data: Data = None
) -> None:
    """Give a user the role `admin`, beside a live server too, when no administrator can log in; an event says so."""
    raise typer.Exit(_server_part("packhouse.cli.admin").make_administrator(data, username))


@admin.command("rotate-keys")
def rotate_keys(data: Data = None) -> None:
    """Let no signing key count any more, when one may be in wrong hands: API keys and sessions of the API end."""
    raise typer.Exit(_server_part("packhouse.cli.admin").rotate_keys(data))


def _server_part(module: str) -> Any:
    """Import what the light client does not bring along, or say what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("packhouse"):
            raise
        typer.echo(f"This command needs the server's parts ({error.name} is missing).", err=True)
        typer.echo("Install it with its extra `server`, as in: pip install '.[server]'", err=True)
        raise typer.Exit(3) from None


def main() -> None:
    """Run the command line; an expected refusal is three sentences and a non-zero exit, never a trace."""
    try:
        app()
    except PackhouseError as error:
        typer.echo(f"packhouse: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
