"""Addresses of sources: which may be named, by whom, and how their secrets are kept apart from what is shown."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote, urlsplit

import msgspec

from packhouse.catalog.mirrors.credentials import Opened
from packhouse.catalog.mirrors.filters import check_filters
from packhouse.catalog.mirrors.mirror import FAMILIES, MODES, Credential, Mirror, Spec
from packhouse.core.errors import PackhouseError
from packhouse.core.fetch import FetchSettings, mask_url
from packhouse.core.jobs import validate
from packhouse.formats import registry

_MAX_NAME = 200
_MAX_URL = 2000
_PORTS = {"http": 80, "https": 443}


def check_spec(spec: Spec, *, administrator: bool, now: Opened | None = None) -> Spec:
    """Return the spec as it is stored: its secrets in the credential, and marked with whether it is trusted.

    With `now`, the mirror that is updated, what was shown masked and comes back so stays what it was. Only an
    administrator may name a file tree, certificate files or a private address. Raises PackhouseError: `bad_request`,
    `unsupported_type`, `forbidden`.
    """
    if not spec.name.strip() or len(spec.name) > _MAX_NAME or not spec.name.isprintable():
        raise _refusal("A mirror needs a name of printable characters.", f"At most {_MAX_NAME}.")
    before = now.mirror if now else None
    family = FAMILIES.get(spec.type)
    if family is None or family not in registry.FORMATS:
        offered = ", ".join(type for type, family in FAMILIES.items() if family in registry.FORMATS)
        raise PackhouseError(
            "unsupported_type", f"Mirrors of type {spec.type[:40]!r} are not offered.", f"The types are {offered}."
        )
    if before is not None and spec.type != before.type:
        raise _refusal("A mirror stays of one type.", "Make another mirror.")
    if spec.mode not in MODES:
        raise _refusal(f"{spec.mode[:40]!r} is not a mirror mode.", "Use active or passive.")
    if spec.cron:
        validate(spec.cron)
    spec = msgspec.structs.replace(spec, filters=check_filters(spec.filters, family))
    if spec.options.policy_id and spec.options.use_channel_policy:
        raise _refusal(
            "A mirror has either the policy of its channel or one of its own.",
            "Send `use_channel_policy` false with `policy_id`.",
        )
    if now is not None:
        spec = _with_kept_secrets(spec, now)
    _check_address(spec.source)
    if registry.get(family).upstream is not None and spec.source.startswith("file:"):
        raise _refusal("A mirror that asks for one name at a time needs a server.", "Write http://… or https://….")
    if registry.get(family).upstream is not None and spec.mode != "passive":
        raise _refusal("A mirror that asks for one name at a time fetches files on demand.", "Make it passive.")
    spec = _without_secrets(spec)
    if not administrator and _files(spec) - (_files_of(before) if before else set()):
        raise PackhouseError(
            "forbidden", "Only an administrator may name files of the server.", "Ask one to set this mirror up."
        )
    kept = before is not None and before.options.trusted and before.source == spec.source
    return msgspec.structs.replace(spec, options=msgspec.structs.replace(spec.options, trusted=administrator or kept))


def _files(spec: Spec) -> set[str]:
    """Return the files and folders of the server that a spec names."""
    options = spec.options
    named = {options.ca_bundle, options.client_cert, options.client_key}
    return {text for text in named if text} | ({spec.source} if spec.source.startswith("file:") else set())


def _files_of(mirror: Mirror) -> set[str]:
    return _files(Spec(mirror.name, mirror.source, options=mirror.options))


def _check_address(source: str) -> None:
    try:
        parts = urlsplit(source)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
        parts = urlsplit("")
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
        fine = ".." not in parts.path.split("/") and "%00" not in parts.path
    if not fine or len(source) > _MAX_URL or parts.query or parts.fragment or not source.isprintable():
        raise _refusal(
            f"{mask_url(source)[:200]!r} is not the address of a channel.",
            "Write http://HOST/CHANNEL, https://HOST/CHANNEL or file:///FOLDER.",
        )


def _without_secrets(spec: Spec) -> Spec:
    given = spec.credential or Credential()
    shown, proxy = mask_url(spec.source), spec.options.proxy
    credential = msgspec.structs.replace(
        given,
        source=spec.source if shown != spec.source else given.source,
        proxy=proxy if proxy and mask_url(proxy) != proxy else given.proxy,
    )
    options = msgspec.structs.replace(spec.options, proxy=mask_url(proxy)) if proxy else spec.options
    unchanged = spec.credential is None and credential == Credential()
    return msgspec.structs.replace(spec, source=shown, options=options, credential=None if unchanged else credential)


def _with_kept_secrets(spec: Spec, now: Opened) -> Spec:
    """Return the spec of an update as meant: what was shown masked and comes back so stays what it was.

    A credential that is not sent is kept while the source is the same; another source never gets it. To drop it, send
    an empty one.
    """
    mirror, kept = now
    same = spec.source in (mirror.source, kept.source)
    if not same:
        return spec
    source = kept.source or spec.source if spec.source == mirror.source else spec.source
    options = spec.options
    if options.proxy and kept.proxy and options.proxy == mirror.options.proxy:
        options = msgspec.structs.replace(options, proxy=kept.proxy)
    credential = spec.credential or msgspec.structs.replace(kept, source="", proxy="")
    return msgspec.structs.replace(spec, source=source, options=options, credential=credential)


def fetch_settings(source: Opened, private_hosts: frozenset[str], connections: int) -> FetchSettings:
    """Return how the mirror's source is dialled; its own address may be private when an administrator named it."""
    options, credential = source.mirror.options, source.credential
    own, trusted = own_host(source), options.trusted
    return FetchSettings(
        proxy=credential.proxy or options.proxy,
        ca_bundle=options.ca_bundle,
        client_cert=options.client_cert,
        client_key=options.client_key,
        verify_tls=options.verify_tls,
        username=credential.username,
        password=credential.password,
        bearer=credential.token,
        headers=credential.headers,
        allowed_private=private_hosts | ({own} if trusted and own else frozenset()),
        file_roots=_roots(source) if trusted else frozenset(),
        connections=connections,
    )


def address(source: Opened) -> str:
    """Return the source's real address, secrets included, as a folder."""
    return (source.credential.source or source.mirror.source).rstrip("/") + "/"


def own_host(source: Opened) -> str | None:
    """Return `host:port` of the source, None for a file tree."""
    parts = urlsplit(address(source))
    if parts.scheme not in _PORTS:
        return None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or _PORTS[parts.scheme]}"


def _roots(source: Opened) -> frozenset[str]:
    parts = urlsplit(address(source))
    return frozenset({posixpath.normpath(unquote(parts.path))}) if parts.scheme == "file" else frozenset()


def _refusal(message: str, hint: str) -> PackhouseError:
    return PackhouseError("bad_request", message, hint)
