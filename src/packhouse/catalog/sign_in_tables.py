"""The tables of signing in: identity providers, logins, what our own command-line provider gives out, and throttling.

What must never be read back is a keyed hash; what must be is sealed (`core/sealing.py`).
"""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, PrimaryKeyConstraint, Table, Text

from packhouse.core.db.types import METADATA, Bytes, Int, Json, Micros, serial

# ---------------------------------------------------------------- who vouches for whom

# Only a number and a state: how a provider is asked stands in a file.
provider = Table(
    "provider",
    METADATA,
    serial(),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # oidc | ldap
    Column("synced_at", Micros),
    Column("sync", Json, nullable=False, server_default="{}"),  # what the last synchronisation found
    sqlite_autoincrement=True,  # roles and memberships name it by number
)

identity = Table(
    "identity",
    METADATA,
    Column("provider_id", ForeignKey("provider.id"), nullable=False),
    Column("subject", Text, nullable=False),  # what the provider never gives to somebody else
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("external", Text, nullable=False, server_default=""),  # what the provider calls them: a DN or a name
    Column("seen_at", Micros, nullable=False),
    PrimaryKeyConstraint("provider_id", "subject"),
)

group_mapping = Table(
    "group_mapping",
    METADATA,
    Column("provider_id", ForeignKey("provider.id"), nullable=False),
    Column("external", Text, nullable=False),  # the provider's name of the group
    Column("group_id", ForeignKey("user_group.id"), nullable=False, index=True),
    PrimaryKeyConstraint("provider_id", "external"),
)

# ---------------------------------------------------------------- logins

login = Table(
    "login",
    METADATA,
    serial(),
    Column("uuid", Text, nullable=False, unique=True),
    Column("secret_hash", Bytes, unique=True),  # keyed; of a cookie. null: a signed key names the login by its uuid
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),  # browser | key | api
    Column("provider_id", Int),  # null: a password of ours
    Column("subject", Text),  # whom the provider vouched for; an account may be several of one provider's
    Column("upstream_sid", Text, index=True),  # the provider's name of its session
    Column("upstream", Bytes),  # sealed; the provider's tokens
    Column("client", Text, nullable=False, server_default=""),  # what the person is shown: which browser or command
    Column("amr", Json, nullable=False, server_default="[]"),  # how they showed who they are (RFC 8176)
    Column("created_at", Micros, nullable=False),
    Column("seen_at", Micros, nullable=False),
    Column("checked_at", Micros, nullable=False),  # when the provider was last asked about it
    Column("expires_at", Micros, nullable=False, index=True),
    Column("ended_at", Micros, index=True),
)
_LIVE = login.c.ended_at.is_(None)
# whoever logs in has few live ones and may have ended many
Index("ix_login_live", login.c.account_id, login.c.kind, login.c.id, sqlite_where=_LIVE, postgresql_where=_LIVE)
_FEDERATED = _LIVE & login.c.upstream.is_not(None)
Index(
    "ix_login_federated",
    login.c.provider_id,
    login.c.checked_at,
    sqlite_where=_FEDERATED,
    postgresql_where=_FEDERATED,
)

recovery_code = Table(
    "recovery_code",
    METADATA,
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("hash", Bytes, nullable=False),  # keyed
    PrimaryKeyConstraint("account_id", "hash"),
)

# Somebody is away at a provider and is expected back in the same browser.
attempt = Table(
    "attempt",
    METADATA,
    Column("state_hash", Bytes, primary_key=True),
    Column("provider_id", ForeignKey("provider.id"), nullable=False),
    Column("browser_hash", Bytes, nullable=False),
    Column("nonce_hash", Bytes, nullable=False),
    Column("verifier", Bytes, nullable=False),  # sealed; of PKCE
    Column("next", Text, nullable=False, server_default=""),  # where they wanted to go
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False, index=True),
    Column("used_at", Micros),
)

# ---------------------------------------------------------------- our own provider, for command lines

# RFC 8628
device_grant = Table(
    "device_grant",
    METADATA,
    serial(),
    Column("device_hash", Bytes, nullable=False, unique=True),
    Column("user_hash", Bytes, nullable=False, unique=True),
    Column("client_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # pending | approved | denied | used
    Column("account_id", ForeignKey("account.id"), index=True),  # who approved
    Column("login_id", ForeignKey("login.id"), index=True),  # by which login
    Column("address", Text, nullable=False, server_default=""),  # who asked
    Column("wait", Int, nullable=False),  # seconds between two questions
    Column("asked_at", Micros),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False, index=True),
)

# RFC 6749 section 4.1
auth_code = Table(
    "auth_code",
    METADATA,
    Column("code_hash", Bytes, primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("login_id", ForeignKey("login.id"), nullable=False, index=True),
    Column("challenge", Text, nullable=False, server_default=""),  # of PKCE
    Column("nonce", Text, nullable=False, server_default=""),
    Column("scope", Text, nullable=False, server_default=""),
    Column("created_at", Micros, nullable=False),
    Column("expires_at", Micros, nullable=False, index=True),
    Column("used_at", Micros),
    Column("given", Text),  # uuids of the logins and tokens made from it: a second use ends them
)

signing_key = Table(
    "signing_key",
    METADATA,
    Column("kid", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("private", Bytes, nullable=False),  # sealed
    Column("public", Json, nullable=False),  # JWK
    Column("created_at", Micros, nullable=False),
    Column("signs_from", Micros, nullable=False),
    Column("verifies_until", Micros, nullable=False),
)

# ---------------------------------------------------------------- guessing

# What was spent of how many checks of a credential are admitted, for all processes together.
bucket = Table(
    "bucket",
    METADATA,
    Column("key_hash", Bytes, primary_key=True),
    Column("spent", Float, nullable=False),
    Column("at", Micros, nullable=False, index=True),
)

# From where somebody signed in: an attack from elsewhere does not keep them out.
known_place = Table(
    "known_place",
    METADATA,
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("place_hash", Bytes, nullable=False),
    Column("seen_at", Micros, nullable=False),
    PrimaryKeyConstraint("account_id", "place_hash"),
)
