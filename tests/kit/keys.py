"""Signed keys (JWT) for tests that have a database and no server."""

from __future__ import annotations

from pathlib import Path

from packhouse.catalog.accounts import store
from packhouse.catalog.grants.issuing import give_key
from packhouse.catalog.installation.keys import load_keys
from packhouse.catalog.logins.logins import Kind, Login
from packhouse.catalog.logins.sessions import LIFETIME
from packhouse.core.db import Database
from packhouse.core.sealing import Sealer
from packhouse.core.settings import Settings

SEALER = Sealer(Settings(data_dir=Path(), secret_key="5e" * 32))


async def key_for(db: Database, username: str, kind: Kind = "api", lifetime: int = LIFETIME) -> tuple[str, Login]:
    """Log somebody in without asking for a password; return the JWT and the login it names."""
    account = await store.by_name(db, username)
    assert account is not None
    return await give_key(db, SEALER, await load_keys(db, SEALER), account, kind, client="a test", lifetime=lifetime)
