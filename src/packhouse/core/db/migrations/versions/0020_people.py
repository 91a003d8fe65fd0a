"""Accounts get what a person is called by others, roles, groups with their owners, and what signing in needs"""

import sqlalchemy as sa
from alembic import op

from packhouse.core.clock import wall_micros
from packhouse.core.randomness import new_uuid

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MANAGE = 3
#: number, name, description
ROLES = (
    (1, "everyone", "Whoever it is, also without a credential."),
    (2, "author", "Whoever has an account: reads what is open to them and makes channels."),
    (3, "admin", "May do everything; cannot be changed."),
    (4, "user-administrator", "An author who also looks after the accounts of others."),
)
#: category: the levels of everyone, author and user-administrator; 0 none, 1 read, 2 write, 3 manage
LEVELS = {
    "channel": (1, 2, 2),
    "channel.default-channel": (0, 3, 3),
    "channel.group": (1, 1, 1),
    "channel.mirror": (0, 0, 0),
    "subchannel": (1, 1, 1),
    "subchannel.group": (1, 1, 1),
    "subchannel.mirror": (0, 0, 0),
    "artifact": (1, 1, 1),
    "cve": (0, 0, 0),
    "roles": (0, 0, 1),
    "notification": (0, 0, 0),
    "audit": (0, 0, 0),
    "policy": (0, 0, 0),
    "account": (0, 2, 3),
    "system": (0, 0, 0),
}


def upgrade() -> None:
    _tables()
    _roles()
    _accounts()
    _tokens()
    _owners()


def _tables() -> None:
    op.create_table(
        "agent",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("tokens", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash", name="uq_agent_hash"),
    )
    op.create_table(
        "bucket",
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("spent", sa.Float(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_hash"),
    )
    op.create_index("ix_bucket_at", "bucket", ["at"])
    op.create_table(
        "cve_set",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("cves", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash", name="uq_cve_set_hash"),
    )
    op.create_table(
        "export_run",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("upto_seq", INT, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "provider",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("synced_at", sa.BigInteger(), nullable=True),
        sa.Column("sync", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_provider_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "role",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("builtin", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_role_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("algorithm", sa.Text(), nullable=False),
        sa.Column("private", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("signs_from", sa.BigInteger(), nullable=False),
        sa.Column("verifies_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kid"),
    )
    op.create_table(
        "attempt",
        sa.Column("state_hash", sa.LargeBinary(), nullable=False),
        sa.Column("provider_id", INT, nullable=False),
        sa.Column("browser_hash", sa.LargeBinary(), nullable=False),
        sa.Column("nonce_hash", sa.LargeBinary(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(), nullable=False),
        sa.Column("next", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"]),
        sa.PrimaryKeyConstraint("state_hash"),
    )
    op.create_index("ix_attempt_expires_at", "attempt", ["expires_at"])
    op.create_table(
        "role_level",
        sa.Column("role_id", INT, nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"]),
        sa.PrimaryKeyConstraint("role_id", "category"),
    )
    op.create_table(
        "user_group",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("channel_id", INT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("channel_id", name="uq_user_group_channel_id"),
        sa.UniqueConstraint("name", name="uq_user_group_name"),
        sa.UniqueConstraint("uuid", name="uq_user_group_uuid"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "account_role",
        sa.Column("account_id", INT, nullable=False),
        sa.Column("role_id", INT, nullable=False),
        sa.Column("source_id", INT, server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"]),
        sa.PrimaryKeyConstraint("account_id", "role_id", "source_id"),
    )
    op.create_index("ix_account_role_role_id", "account_role", ["role_id"])
    op.create_table(
        "group_grant",
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("group_id", INT, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.ForeignKeyConstraint(["group_id"], ["user_group.id"]),
        sa.PrimaryKeyConstraint("channel_id", "group_id"),
    )
    op.create_index("ix_group_grant_group_id", "group_grant", ["group_id"])
    op.create_table(
        "group_mapping",
        sa.Column("provider_id", INT, nullable=False),
        sa.Column("external", sa.Text(), nullable=False),
        sa.Column("group_id", INT, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["user_group.id"]),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"]),
        sa.PrimaryKeyConstraint("provider_id", "external"),
    )
    op.create_index("ix_group_mapping_group_id", "group_mapping", ["group_id"])
    op.create_table(
        "group_member",
        sa.Column("group_id", INT, nullable=False),
        sa.Column("account_id", INT, nullable=False),
        sa.Column("source_id", INT, server_default="0", nullable=False),
        sa.Column("level", sa.Integer(), server_default="0", nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["group_id"], ["user_group.id"]),
        sa.PrimaryKeyConstraint("group_id", "account_id", "source_id"),
    )
    op.create_index("ix_group_member_account_id", "group_member", ["account_id"])
    op.create_table(
        "group_role",
        sa.Column("group_id", INT, nullable=False),
        sa.Column("role_id", INT, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["user_group.id"]),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"]),
        sa.PrimaryKeyConstraint("group_id", "role_id"),
    )
    op.create_index("ix_group_role_role_id", "group_role", ["role_id"])
    op.create_table(
        "identity",
        sa.Column("provider_id", INT, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("account_id", INT, nullable=False),
        sa.Column("external", sa.Text(), server_default="", nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"]),
        sa.PrimaryKeyConstraint("provider_id", "subject"),
    )
    op.create_index("ix_identity_account_id", "identity", ["account_id"])
    op.create_table(
        "known_place",
        sa.Column("account_id", INT, nullable=False),
        sa.Column("place_hash", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "place_hash"),
    )
    op.create_table(
        "login",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=True),
        sa.Column("account_id", INT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider_id", INT, nullable=True),
        sa.Column("upstream_sid", sa.Text(), nullable=True),
        sa.Column("upstream", sa.LargeBinary(), nullable=True),
        sa.Column("client", sa.Text(), server_default="", nullable=False),
        sa.Column("amr", sa.Text(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash", name="uq_login_secret_hash"),
        sa.UniqueConstraint("uuid", name="uq_login_uuid"),
    )
    op.create_index("ix_login_account_id", "login", ["account_id"])
    op.create_index("ix_login_upstream_sid", "login", ["upstream_sid"])
    op.create_table(
        "recovery_code",
        sa.Column("account_id", INT, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.PrimaryKeyConstraint("account_id", "hash"),
    )
    op.create_table(
        "auth_code",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("account_id", INT, nullable=False),
        sa.Column("login_id", INT, nullable=False),
        sa.Column("challenge", sa.Text(), server_default="", nullable=False),
        sa.Column("nonce", sa.Text(), server_default="", nullable=False),
        sa.Column("scope", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("given", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["login_id"], ["login.id"]),
        sa.PrimaryKeyConstraint("code_hash"),
    )
    op.create_index("ix_auth_code_account_id", "auth_code", ["account_id"])
    op.create_index("ix_auth_code_expires_at", "auth_code", ["expires_at"])
    op.create_index("ix_auth_code_login_id", "auth_code", ["login_id"])
    op.create_table(
        "device_grant",
        sa.Column("id", INT, autoincrement=True, nullable=False),
        sa.Column("device_hash", sa.LargeBinary(), nullable=False),
        sa.Column("user_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("account_id", INT, nullable=True),
        sa.Column("login_id", INT, nullable=True),
        sa.Column("address", sa.Text(), server_default="", nullable=False),
        sa.Column("wait", INT, nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["login_id"], ["login.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("device_hash", name="uq_device_grant_device_hash"),
        sa.UniqueConstraint("user_hash", name="uq_device_grant_user_hash"),
    )
    op.create_index("ix_device_grant_account_id", "device_grant", ["account_id"])
    op.create_index("ix_device_grant_expires_at", "device_grant", ["expires_at"])
    op.create_index("ix_device_grant_login_id", "device_grant", ["login_id"])
    op.create_table(
        "token_grant",
        sa.Column("token_id", INT, nullable=False),
        sa.Column("channel_id", INT, nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"]),
        sa.ForeignKeyConstraint(["token_id"], ["token.id"]),
        sa.PrimaryKeyConstraint("token_id", "channel_id"),
    )
    op.create_index("ix_token_grant_channel_id", "token_grant", ["channel_id"])


def _roles() -> None:
    connection, now = op.get_bind(), wall_micros()
    connection.execute(
        sa.text(
            "INSERT INTO role (id, name, description, builtin, created_at, updated_at)"
            " VALUES (:id, :name, :description, TRUE, :now, :now)"
        ),
        [{"id": id_, "name": name, "description": text, "now": now} for id_, name, text in ROLES],
    )
    if connection.dialect.name == "postgresql":  # its counter does not see numbers that were said
        connection.execute(sa.text("SELECT setval(pg_get_serial_sequence('role', 'id'), (SELECT max(id) FROM role))"))
    connection.execute(
        sa.text("INSERT INTO role_level (role_id, category, level) VALUES (:role_id, :category, :level)"),
        [
            {"role_id": role_id, "category": category, "level": level}
            for category, levels in LEVELS.items()
            for role_id, level in zip((1, 2, 4), levels, strict=True)
            if level
        ],
    )


def _accounts() -> None:
    connection = op.get_bind()
    op.add_column("account", sa.Column("uuid", sa.Text(), nullable=True))
    if accounts := [row[0] for row in connection.execute(sa.text("SELECT id FROM account"))]:
        connection.execute(
            sa.text("UPDATE account SET uuid = :uuid WHERE id = :id"),
            [{"uuid": new_uuid(), "id": account_id} for account_id in accounts],
        )
    connection.execute(
        sa.text(
            "INSERT INTO account_role (account_id, role_id, source_id)"
            " SELECT account.id, role.id, 0 FROM account JOIN role ON role.name = account.role"
        )
    )
    given = _last_number("account")
    with op.batch_alter_table("account", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.alter_column("uuid", nullable=False)
        batch.add_column(sa.Column("kind", sa.Text(), server_default="person", nullable=False))
        batch.add_column(sa.Column("email", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("email_verified", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.add_column(sa.Column("first_name", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("last_name", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("provider_id", INT))
        batch.add_column(sa.Column("confirmed_at", sa.BigInteger()))
        batch.add_column(sa.Column("service_channel_id", INT))
        batch.add_column(sa.Column("totp_secret", sa.LargeBinary()))
        batch.add_column(sa.Column("totp_since", sa.BigInteger()))
        batch.add_column(sa.Column("totp_step", INT, server_default="0", nullable=False))
        batch.add_column(sa.Column("disabled_by", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("last_login_at", sa.BigInteger()))
        batch.create_unique_constraint("uq_account_uuid", ["uuid"])
        batch.create_unique_constraint("uq_account_service_channel_id", ["service_channel_id"])
        batch.create_foreign_key("account_service_channel_id_fkey", "channel", ["service_channel_id"], ["id"])
        batch.drop_column("role")
    _go_on_after("account", given)


def _tokens() -> None:
    with op.batch_alter_table("token") as batch:
        batch.add_column(sa.Column("kind", sa.Text(), server_default="scope", nullable=False))
        batch.add_column(sa.Column("description", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("metadata", sa.Text(), server_default="{}", nullable=False))
        batch.add_column(sa.Column("created_by", INT))
        batch.add_column(sa.Column("last_used_at", sa.BigInteger()))
        batch.add_column(sa.Column("last_used_from", sa.Text()))
        batch.create_foreign_key("token_created_by_fkey", "account", ["created_by"], ["id"])
    op.create_index("ix_token_created_by", "token", ["created_by"])
    op.execute("UPDATE token SET kind = 'user' WHERE scopes = 'null'")


def _owners() -> None:
    """Give each channel the group of its owners, with its owner in it; no channel's name has a dot."""
    connection, now = op.get_bind(), wall_micros()
    channels = connection.execute(sa.text("SELECT id, path FROM channel WHERE path IS NOT NULL")).all()
    if channels:
        connection.execute(
            sa.text(
                "INSERT INTO user_group (uuid, name, description, channel_id, created_at, updated_at)"
                " VALUES (:uuid, :name, :description, :channel_id, :now, :now)"
            ),
            [
                {
                    "uuid": new_uuid(),
                    "name": f"{path.replace('/', '.')}_owners",
                    "description": f"Owners of the channel {path}.",
                    "channel_id": channel_id,
                    "now": now,
                }
                for channel_id, path in channels
            ],
        )
    connection.execute(
        sa.text(
            "INSERT INTO group_member (group_id, account_id, source_id, level, added_at)"
            " SELECT user_group.id, account.id, 0, :level, :now FROM user_group"
            " JOIN channel ON channel.id = user_group.channel_id JOIN account ON account.id = channel.owner_id"
        ),
        {"level": MANAGE, "now": now},
    )
    connection.execute(
        sa.text(
            "INSERT INTO group_grant (channel_id, group_id, level)"
            " SELECT channel_id, id, :level FROM user_group WHERE channel_id IS NOT NULL"
        ),
        {"level": MANAGE},
    )


def _last_number(table: str) -> int | None:
    """Return the last number SQLite gave a row of a table, which making the table again would forget."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return None
    return connection.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table}).scalar()


def _go_on_after(table: str, number: int | None) -> None:
    if number is None:
        return
    connection = op.get_bind()
    connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
    connection.execute(
        sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), {"name": table, "seq": number}
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead")
