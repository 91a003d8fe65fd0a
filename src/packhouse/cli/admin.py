"""`packhouse admin`: what an administrator does on the host, beside a live server too, when nobody can log in."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from packhouse.catalog.accounts.account import DIRECTORY, Account
from packhouse.catalog.accounts.passwords import check_strength, hash_password
from packhouse.cli.upkeep import with_services
from packhouse.core.errors import PackhouseError
from packhouse.workflows.services import Services
from packhouse.workflows.signin import administering


def reset_password(data: Path | None, username: str, *, stdin: bool, second_factor: bool) -> int:
    """Set the password of an account; every login of it ends, in every process."""
    password = _from_stdin() if stdin else _asked()
    check_strength(password)

    async def work(services: Services) -> tuple[Account, int]:
        hashed = await hash_password(password)
        return await administering.reset_password(services.db, username, hashed, second_factor=second_factor)

    account, ended = with_services(data, work)
    said = f"The password of {username} is set; {ended} of their logins ended."
    sys.stdout.write(f"{said} {_if_disabled(account) or 'Their tokens go on working.'}\n")
    return 0


def enable(data: Path | None, username: str) -> int:
    """Let a disabled account work again, whoever disabled it."""
    account, changed = with_services(data, lambda services: administering.enable(services.db, username))
    said = f"{username} is enabled, and their tokens work again." if changed else f"{username} was not disabled."
    later = " Their provider had disabled them, and may do so again." if account.disabled_by == DIRECTORY else ""
    sys.stdout.write(f"{said}{later}\n")
    return 0


def make_administrator(data: Path | None, username: str) -> int:
    """Give somebody the role `admin`."""
    account, changed = with_services(data, lambda services: administering.make_administrator(services.db, username))
    said = f"{username} is an administrator now." if changed else f"{username} was made an administrator before."
    sys.stdout.write(f"{said} {_if_disabled(account)}".rstrip() + "\n")
    return 0


def rotate_keys(data: Path | None) -> int:
    """Let everything that was signed so far count for nothing, in every process; the next login makes a new key."""
    retired = with_services(data, lambda services: administering.retire_keys(services.db))
    sys.stdout.write(
        f"{retired} signing keys count no longer. Who logged in with a command line or over the API logs in again;"
        " browsers stay signed in, and tokens go on working.\n"
    )
    return 0


def _if_disabled(account: Account) -> str:
    """Return what is left to do before somebody can log in; "" when it is nothing."""
    if account.disabled_at is None:
        return ""
    return f"The account is disabled: `packhouse admin enable {account.username}` lets them log in."


def _from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _asked() -> str:
    if not sys.stdin.isatty():
        raise PackhouseError("bad_request", "There is nobody to ask for the password.", "Send it with --stdin.")
    password = getpass.getpass("New password: ")
    if getpass.getpass("Again: ") != password:
        raise PackhouseError("bad_request", "The two passwords differ.", "Try again.")
    return password
