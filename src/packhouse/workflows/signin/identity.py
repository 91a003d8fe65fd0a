"""The identity file: who besides this installation vouches for people, and how they are asked.

`identity.toml` in the data folder, or the file the setting `identity_file` names, has a table `[[provider]]` for each:
`kind = "oidc"` is OpenID Connect, `kind = "ldap"` a directory. Any text may say `${NAME}` for a variable of the
environment, and a secret may lie in a file of its own: `client_secret_file`, `bind_password_file`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from packhouse.core.errors import PackhouseError
from packhouse.core.settings import Settings

FILE = "identity.toml"
#: members that are secret and may lie in a file, `NAME_file`
_SECRETS = ("client_secret", "bind_password")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

_Word = Annotated[str, Meta(min_length=1)]
#: part of addresses and of the audit trail
_Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class _Vouching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all providers have."""

    name: _Name
    title: str = ""  #: what people read on the button of the login page; empty: the name
    groups: dict[str, _Word] = {}  #: the provider's group → the group here that its members join
    roles: dict[str, _Word] = {}  #: the provider's role, or its group for LDAP → the role here it gives
    required_groups: tuple[str, ...] = ()  #: the provider's groups; who is in none of them does not get in
    link_by_email: bool = False  #: whether a verified mail address joins somebody to the local account that has it

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    @property
    def shown(self) -> str:
        """What people call it."""
        return self.title or self.name

    @property
    def admin_roles(self) -> frozenset[str]:
        """Which of the names of `roles_of` make an administrator: `admin`, if the file gives it by name."""
        return frozenset({"admin"} & set(self.roles.values()))

    def admits(self, groups: Iterable[str]) -> bool:
        """Tell whether somebody in these groups of the provider may come in."""
        return not self.required_groups or not set(self.required_groups).isdisjoint(groups)


class OidcProvider(_Vouching, frozen=True, kw_only=True, tag="oidc"):
    """An OpenID provider (OpenID Connect Core 1.0). Claims are named with dots: `realm_access.roles`."""

    issuer: Annotated[str, Meta(pattern=r"^https?://[^/?#]+[^?#]*$")]  #: exactly as the provider writes it
    client_id: _Word
    client_secret: str = ""  #: empty: a public client; PKCE is used with either
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    algorithms: tuple[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"], ...] = (
        "RS256",
        "ES256",
        "PS256",
    )
    username_claim: _Word = "preferred_username"
    email_claim: _Word = "email"
    first_name_claim: _Word = "given_name"
    last_name_claim: _Word = "family_name"
    groups_claim: _Word = "groups"
    roles_claim: _Word = "realm_access.roles"
    recheck_seconds: Annotated[int, Meta(ge=1)] = 300  #: how often a live login is asked about
    logout: bool = True  #: whether a logout here ends the login there
    ca_file: str = ""  #: PEM file of the authorities that sign the provider's certificate; empty: the system's

    @property
    def readable(self) -> bool:
        """Whether what we say to it travels readably: by plain http, and not within this machine."""
        parts = urlsplit(self.issuer)
        return parts.scheme == "http" and not _loopback(parts.hostname or "")

    def roles_of(self, said: Iterable[str]) -> frozenset[str]:
        """Return the roles here of what the provider calls roles: by the file, else by the same name, never `admin`."""
        return frozenset(self.roles.get(name, name) for name in said if name in self.roles or name != "admin")


class LdapProvider(_Vouching, frozen=True, kw_only=True, tag="ldap"):
    """A directory that is asked by LDAP (RFC 4511): OpenLDAP, 389, Active Directory."""

    url: Annotated[str, Meta(pattern=r"^ldaps?://[^/?#\s]+/?$")]  #: with `ldap://` StartTLS is used
    allow_plain: bool = False  #: passwords travel readably: for a tunnel or a test only
    ca_file: str = ""  #: PEM file of the authorities that sign the directory's certificate; empty: the system's
    bind_dn: str = ""  #: who searches; empty: nobody in particular
    bind_password: str = ""
    timeout_seconds: Annotated[float, Meta(gt=0, le=120)] = 10.0  #: for each answer
    user_base: _Word  #: below which people are
    user_filter: Annotated[str, Meta(pattern=r"^\(.*\)$")] = "(objectClass=person)"
    username_attribute: _Word = "uid"  #: Active Directory: sAMAccountName
    subject_attribute: _Word = "entryUUID"  #: never given to somebody else; Active Directory: objectGUID
    email_attribute: _Word = "mail"
    first_name_attribute: _Word = "givenName"
    last_name_attribute: _Word = "sn"
    group_base: str = ""  #: below which groups are; empty: groups are not asked about
    group_filter: Annotated[str, Meta(pattern=r"^\(.*\)$")] = (
        "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group))"
    )
    group_name_attribute: _Word = "cn"
    member_attribute: _Word = "member"
    #: members of a group in a group: by following them, by Active Directory's rule in chain, or not at all
    nested: Literal["walk", "in-chain", "no"] = "walk"
    sync_seconds: Annotated[int, Meta(ge=1)] = 86_400
    shrink_guard_percent: Annotated[int, Meta(ge=0, le=100)] | None = None  #: None: the setting of that name

    def roles_of(self, said: Iterable[str]) -> frozenset[str]:
        """Return the roles here of the directory's groups: those the file names."""
        return frozenset(self.roles[name] for name in said if name in self.roles)


Provider: TypeAlias = OidcProvider | LdapProvider


def load(settings: Settings, environ: Mapping[str, str] = os.environ) -> tuple[Provider, ...]:
    """Return the providers of the identity file, none where there is no file.

    Raises PackhouseError("bad_request") that names the file, the provider and the member that is wrong, never a value.
    """
    path = place(settings)
    if not settings.identity_file and not path.is_file():
        return ()
    document = _read(path)
    if unknown := sorted(document.keys() - {"provider"}):
        raise _wrong(path, f"it has `{unknown[0]}`, which means nothing", "It has tables [[provider]] only.")
    tables = document.get("provider", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise _wrong(path, "`provider` is not a list of tables", "Write [[provider]] above each, with two brackets.")
    found = tuple(_provider(path, number, table, environ) for number, table in enumerate(tables, 1))
    names = [provider.name for provider in found]
    for name in names:
        if names.count(name) > 1:
            raise _wrong(path, f"two providers are called {name!r}", "Give each a `name` of its own.")
    return found


def place(settings: Settings) -> Path:
    """Return where the identity file is, or would be."""
    return Path(settings.identity_file) if settings.identity_file else settings.data_dir / FILE


def files_beside(path: Path) -> list[str]:
    """Return the files an identity file names, as it names them: of secrets, and of authorities.

    Of a file that cannot be read there are none.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8")).get("provider", [])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
        return []
    tables = [table for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []
    members = (*(f"{secret}_file" for secret in _SECRETS), "ca_file")
    return [file for table in tables for name in members if isinstance(file := table.get(name), str) and file]


def directories(providers: Iterable[Provider]) -> tuple[LdapProvider, ...]:
    """Return those that are asked by LDAP, in the order of the file, which is the one they are asked in."""
    return tuple(provider for provider in providers if isinstance(provider, LdapProvider))


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise _wrong(path, f"it cannot be read: {why}", "It is TOML with a table [[provider]] for each.") from None


def _provider(path: Path, number: int, table: dict[str, Any], environ: Mapping[str, str]) -> Provider:
    where = f"provider {table['name']!r}" if isinstance(table.get("name"), str) else f"provider number {number}"
    made = _filled(path, where, table, environ)
    for secret in _SECRETS:
        if file := made.pop(f"{secret}_file", None):
            made[secret] = _secret(path, where, f"{secret}_file", file)
    try:
        provider: Provider = msgspec.convert(made, Provider)
    except msgspec.ValidationError as error:
        hint = "docs/sign-in.md lists what a provider can say; `kind` is oidc or ldap."
        raise _wrong(path, f"{where}: {error}", hint) from None
    if isinstance(provider, LdapProvider) and provider.allow_plain and provider.url.startswith("ldaps:"):
        raise _wrong(path, f"{where}: `allow_plain` contradicts an address ldaps://", "Remove `allow_plain`.")
    if isinstance(provider, LdapProvider) and bool(provider.bind_dn) != bool(provider.bind_password):
        hint = "Name both, or neither if anybody may search there."
        raise _wrong(path, f"{where}: of `bind_dn` and `bind_password` one is missing", hint)
    return provider


def _filled(path: Path, where: str, value: Any, environ: Mapping[str, str]) -> Any:
    """Return the value with `${NAME}` replaced in all its texts, however deep."""
    if isinstance(value, dict):
        return {name: _filled(path, where, part, environ) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(path, where, part, environ) for part in value]
    if not isinstance(value, str):
        return value
    for name in _VARIABLE.findall(value):
        if name not in environ:
            raise _wrong(path, f"{where}: the variable {name} is not set", "Set it for every process, or use a file.")
    return _VARIABLE.sub(lambda match: environ[match[1]], value)


def _secret(path: Path, where: str, member: str, file: Any) -> str:
    try:
        return (path.parent / str(file)).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise _wrong(path, f"{where}: the file of `{member}` cannot be read: {why}", "Name a file here.") from None


def _wrong(path: Path, why: str, hint: str) -> PackhouseError:
    return PackhouseError("bad_request", f"The identity file {path} cannot be used: {why}.", hint)
