"""`packhouse admin`: what an administrator does on the host, beside a live server too, when nobody can log in."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from packhouse.catalog.accounts.passwords import check_strength, hash_password
from packhouse.cli.upkeep import with_services
from packhouse.core.errors import PackhouseError
from packhouse.workflows.services import Services
from packhouse.workflows.signin.administering import reset_password as reset
from packhouse.workflows.signin.administering import retire_keys


def reset_password(data: Path | None, username: str, *, stdin: bool, second_factor: bool) -> int:
    """Set the password of an account; every login of it ends, in every process."""
    password = _from_stdin() if stdin else _asked()
    check_strength(password)

    async def work(services: Services) -> int:
        return await reset(services.db, username, await hash_password(password), second_factor=second_factor)

    ended = with_services(data, work)
    sys.stdout.write(f"The password of {username} is set; {ended} of their logins ended. Their tokens go on working.\n")
    return 0


def rotate_keys(data: Path | None) -> int:
    """Let everything that was signed so far count for nothing, in every process; the next login makes a new key."""
    retired = with_services(data, lambda services: retire_keys(services.db))
    sys.stdout.write(
        f"{retired} signing keys count no longer. Who logged in with a command line or over the API logs in again;"
        " browsers stay signed in, and tokens go on working.\n"
    )
    return 0


def _from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _asked() -> str:
    if not sys.stdin.isatty():
        raise PackhouseError("bad_request", "There is nobody to ask for the password.", "Send it with --stdin.")
    password = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != password:
        raise PackhouseError("bad_request", "The two passwords differ.", "Try again.")
    return password
