"""What a provider says of somebody, read out of the claims under the names the identity file gives. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packhouse.workflows.signin.arriving import Arrival
from packhouse.workflows.signin.identity import OidcProvider

#: of each text that is kept
CHARACTERS = 512


def arrival(provider: OidcProvider, provider_id: int, claims: Mapping[str, Any]) -> Arrival:
    """Return who has come; what a claim says in another form than text counts as not said."""
    return Arrival(
        provider_id=provider_id,
        subject=claims["sub"],
        username=text(claims, provider.username_claim),
        email=text(claims, provider.email_claim),
        email_verified=claims.get("email_verified") is True,
        first_name=text(claims, provider.first_name_claim),
        last_name=text(claims, provider.last_name_claim),
        groups=names(claims, provider.groups_claim),
        roles=provider.roles_of(names(claims, provider.roles_claim)),
        external=text(claims, provider.username_claim),
    )


def text(claims: Mapping[str, Any], name: str) -> str:
    """Return a claim that is one text, else an empty one."""
    value = _at(claims, name)
    return value[:CHARACTERS] if isinstance(value, str) and value.isprintable() else ""


def names(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return a claim that is a list of texts, or one text."""
    value = _at(claims, name)
    found = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(one for one in found if isinstance(one, str) and one and one.isprintable())


def _at(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim of that very name, else the member of a member that dots lead to."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
