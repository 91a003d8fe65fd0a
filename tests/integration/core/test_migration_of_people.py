"""What an installation from before roles and groups has afterwards: nobody lost or won a right."""

from __future__ import annotations

from uuid import UUID

from alembic import command
from sqlalchemy import text
from sqlalchemy.engine import Connection

from packhouse.catalog.accounts import store
from packhouse.catalog.rights.permissions import CATEGORIES
from packhouse.core.db import open_database
from packhouse.core.db.migrating import config, engine_for, migrate
from tests.kit import staffing

BEFORE = (
    "INSERT INTO account (id, username, password_hash, role, sessions, created_at) VALUES"
    " (1, 'root', 'hash', 'admin', 0, 10), (2, 'ann', 'hash', 'author', 3, 20)",
    # the last account made is gone, and its number with it
    "INSERT INTO account (id, username, role, sessions, created_at) VALUES (9, 'gone', 'author', 0, 30)",
    "DELETE FROM account WHERE id = 9",
    "INSERT INTO channel (id, path, parent_id, description, privacy, owner_id, created_at, updated_at, deleted_at)"
    " VALUES (1, 'team', NULL, '', 'private', 2, 40, 40, NULL), (2, 'team/lab', 1, '', 'public', 1, 41, 41, NULL),"
    " (3, NULL, NULL, '', 'private', 2, 42, 42, 50)",
    "INSERT INTO secret (name, value) VALUES ('session-signing', :one), ('token-hashing', :two)",
    "INSERT INTO channel_grant (channel_id, user_id, level) VALUES (2, 2, 1)",
    "INSERT INTO token (id, uuid, account_id, name, hash, scopes, created_at) VALUES"
    " (1, 'one', 2, 'all', :one, 'null', 60), (2, 'two', 2, 'some', :two, '[\"artifact:view\"]', 61)",
)


def made_before(url: str) -> None:
    engine = engine_for(url)
    with engine.connect() as connection:
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0019")
        for statement in BEFORE:
            values = {"one": b"1" * 32, "two": b"2" * 32} if ":one" in statement else {}
            connection.execute(text(statement), values)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval(pg_get_serial_sequence('account', 'id'), 9)"))
        connection.commit()
    engine.dispose()


def rows(connection: Connection, statement: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(text(statement))]


def test_people_keep_their_rights_and_owners_get_their_groups(url: str) -> None:
    made_before(url)
    migrate(url)
    engine = engine_for(url)
    with engine.connect() as connection:
        uuids = [UUID(str(row[0])) for row in rows(connection, "SELECT uuid FROM account")]
        assert len(set(uuids)) == 2
        assert rows(connection, "SELECT id, username, sessions, kind, disabled_by FROM account ORDER BY id") == [
            (1, "root", 0, "person", ""),
            (2, "ann", 3, "person", ""),
        ]
        assert rows(connection, "SELECT account_id, role_id, source_id FROM account_role ORDER BY account_id") == [
            (1, 3, 0),
            (2, 2, 0),
        ]
        groups = "SELECT name, g.channel_id, m.account_id, m.level, grp.level FROM user_group g"
        joined = " JOIN group_member m ON m.group_id = g.id JOIN group_grant grp ON grp.group_id = g.id"
        assert rows(connection, groups + joined + " WHERE grp.channel_id = g.channel_id ORDER BY g.channel_id") == [
            ("team_owners", 1, 2, 3, 3),
            ("team.lab_owners", 2, 1, 3, 3),
        ]
        assert rows(connection, "SELECT count(*) FROM user_group") == [(2,)]
        assert rows(connection, "SELECT channel_id, user_id, level FROM channel_grant") == [(2, 2, 1)]
        assert rows(connection, "SELECT name FROM secret WHERE name LIKE '%ing'") == [("token-hashing",)]
        assert rows(connection, "SELECT uuid, kind, metadata FROM token ORDER BY id") == [
            ("one", "user", "{}"),
            ("two", "scope", "{}"),
        ]
        if connection.dialect.name == "sqlite":
            assert rows(connection, "PRAGMA foreign_key_check") == []
    engine.dispose()


def test_the_builtin_roles_begin_with_the_levels_of_the_table(url: str) -> None:
    migrate(url)
    engine = engine_for(url)
    with engine.connect() as connection:
        assert rows(connection, "SELECT id, name, builtin FROM role ORDER BY id") == [
            (1, "everyone", True),
            (2, "author", True),
            (3, "admin", True),
            (4, "user-administrator", True),
        ]
        stored = {
            (row[0], row[1]): row[2] for row in rows(connection, "SELECT role_id, category, level FROM role_level")
        }
        said = {(1, name): int(row.everyone) for name, row in CATEGORIES.items()}
        said |= {(2, name): int(row.author) for name, row in CATEGORIES.items()}
        more = {"account": 3, "roles": 1}
        said |= {(4, name): more.get(name, int(row.author)) for name, row in CATEGORIES.items()}
        assert stored == {key: level for key, level in said.items() if level}
        made = "INSERT INTO role (name, created_at, updated_at) VALUES ('auditor', 1, 1) RETURNING id"
        assert connection.execute(text(made)).scalar() == 5
    engine.dispose()


async def test_what_was_there_goes_on_working_and_no_number_is_given_twice(url: str) -> None:
    made_before(url)
    migrate(url)
    db = open_database(url)
    try:
        root, ann = await store.by_name(db, "root"), await store.by_name(db, "ann")
        assert root is not None and root.role == "admin"
        assert ann is not None and ann.role == "author"
        bob = await staffing.create_user(db, "bob", None, "author", "root")
        assert (bob.id, await store.is_only_admin(db, root.id)) == (10, True)
        await db.write(lambda unit: store.delete_account(unit, ann.id))
        assert await db.fetch_value("SELECT count(*) FROM token") == 0
        assert await db.fetch_value("SELECT count(*) FROM group_member WHERE account_id = 2") == 0
    finally:
        await db.close()
