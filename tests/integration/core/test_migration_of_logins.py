"""Who is signed in through a provider when their logins learn whom it vouched for: each is asked about still."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text

from packhouse.core.db.migrating import config, engine_for, migrate

_LOGIN = (
    "INSERT INTO login (uuid, account_id, kind, provider_id, upstream, created_at, seen_at, checked_at, expires_at)"
    " VALUES (:uuid, :account, 'browser', :provider, :upstream, 1, 1, 1, 9)"
)
BEFORE = (
    "INSERT INTO account (id, uuid, username, kind, sessions, created_at) VALUES"
    " (1, 'u1', 'ann', 'person', 0, 1), (2, 'u2', 'bob', 'person', 0, 1)",
    "INSERT INTO provider (id, name, kind) VALUES (1, 'corp', 'oidc'), (2, 'lab', 'oidc')",
    "INSERT INTO identity (provider_id, subject, account_id, seen_at) VALUES"
    " (1, 'ann-gone', 1, 5), (1, 'ann', 1, 6), (2, 'ann-of-lab', 1, 7), (1, 'bob', 2, 1)",
)
LOGINS = (
    {"uuid": "ann", "account": 1, "provider": 1, "upstream": b"x"},
    {"uuid": "ann at the lab", "account": 1, "provider": 2, "upstream": b"x"},
    {"uuid": "bob", "account": 2, "provider": 1, "upstream": b"x"},
    {"uuid": "bob's password", "account": 2, "provider": None, "upstream": None},
)


def test_a_login_is_of_whom_its_provider_spoke_of_last(url: str) -> None:
    engine = engine_for(url)
    with engine.connect() as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0025")
        for statement in BEFORE:
            connection.execute(text(statement))
        for login in LOGINS:
            connection.execute(text(_LOGIN), login)
        connection.commit()
    migrate(url)
    with engine.connect() as connection:
        found = {row[0]: row[1] for row in connection.execute(text("SELECT uuid, subject FROM login"))}
    engine.dispose()
    assert found == {"ann": "ann", "ann at the lab": "ann-of-lab", "bob": "bob", "bob's password": None}
