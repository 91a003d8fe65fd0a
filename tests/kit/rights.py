"""Who may do what, said a second time: by hand, from the table of levels, importing nothing of the rules themselves.

A new route gets a line in `ROUTES` below (or `OF_CHANNEL`, below a channel and a subchannel alike): the action that it
*should* need, thought about anew and not copied. A new action gets a line in `ACTIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NONE, READ, WRITE, MANAGE = range(4)

#: category -> the levels of everyone, author and user-administrator, and whether a right on a channel counts in it
LEVELS: dict[str, tuple[int, int, int, bool]] = {
    "channel": (READ, WRITE, WRITE, True),
    "channel.default-channel": (NONE, MANAGE, MANAGE, False),
    "channel.group": (READ, READ, READ, True),
    "channel.mirror": (NONE, NONE, NONE, False),
    "subchannel": (READ, READ, READ, True),
    "subchannel.group": (READ, READ, READ, True),
    "subchannel.mirror": (NONE, NONE, NONE, False),
    "artifact": (READ, READ, READ, True),
    "cve": (NONE, NONE, NONE, False),
    "roles": (NONE, NONE, READ, False),
    "notification": (NONE, NONE, NONE, True),
    "audit": (NONE, NONE, NONE, False),
    "policy": (NONE, NONE, NONE, False),
    "account": (NONE, WRITE, MANAGE, False),
    "system": (NONE, NONE, NONE, False),
}

#: action -> the level it needs in the category before its colon, but for the two below
ACTIONS: dict[str, int] = {
    "artifact:view": READ, "artifact:download": READ, "artifact:create": WRITE, "artifact:edit": MANAGE,
    "artifact:delete": MANAGE,
    "channel:view": READ, "channel:view-artifacts": READ, "channel:create": WRITE, "channel:edit": MANAGE,
    "channel:delete": MANAGE, "channel:history": MANAGE,
    "channel.default-channel:edit": MANAGE,
    "channel.group:view": READ, "channel.group:create": WRITE, "channel.group:edit": MANAGE,
    "channel.mirror:view": MANAGE, "channel.mirror:edit": MANAGE,
    "subchannel:view": READ, "subchannel:view-artifacts": READ, "subchannel:create": MANAGE, "subchannel:edit": MANAGE,
    "subchannel:delete": MANAGE, "subchannel:history": MANAGE,
    "subchannel.group:view": READ, "subchannel.group:edit": MANAGE,
    "subchannel.mirror:view": MANAGE, "subchannel.mirror:edit": MANAGE,
    "mirror:view": MANAGE,
    "cve:view": READ, "cve:edit": MANAGE, "roles:view": READ, "roles:edit": MANAGE,
    "notification:view": READ, "notification:edit": MANAGE, "audit:view": READ,
    "policy:view": READ, "policy:create": WRITE, "policy:edit": MANAGE, "policy:delete": MANAGE,
    "account:view": READ, "account:edit": WRITE, "account:manage": MANAGE, "system:manage": MANAGE,
}  # fmt: skip
#: actions whose category has another name
_CATEGORY = {"mirror:view": "channel.mirror"}

#: for everybody
OPEN = ""

#: below a channel, and below a subchannel
OF_CHANNEL: dict[str, str] = {
    "GET ": "channel:view",
    "PUT ": "channel:edit",
    "DELETE ": "channel:delete",
    "GET /history": "channel:history",
    "GET /changes": "channel:history",
    "GET /notices": "channel:view",
    "POST /notices": "channel:edit",
    "DELETE /notices/{notice_id}": "channel:edit",
    "GET /notifications": "notification:view",
    "PUT /notifications": "notification:edit",
    "PUT /notifications/subscription": "account:edit",
    "POST /notifications/webhooks": "notification:edit",
    "DELETE /notifications/webhooks/{webhook_id}": "notification:edit",
    "GET /notifications/digests": "notification:view",
    "GET /notifications/deliveries": "notification:edit",
    "POST /notifications/deliveries/retry": "notification:edit",
    "GET /groups": "channel.group:view",
    "PUT /groups/{group}": "channel.group:edit",
    "DELETE /groups/{group}": "channel.group:edit",
    "GET /users": "channel.group:view",
    "PUT /users/{username}": "channel.group:edit",
    "DELETE /users/{username}": "channel.group:edit",
    "GET /artifacts": "channel:view-artifacts",
    "POST /artifacts": "artifact:create",
    "PUT /artifacts/bulk": "channel:view-artifacts",
    "GET /artifacts/{family}/{name}": "artifact:view",
    "DELETE /artifacts/{family}/{name}": "artifact:delete",
    "GET /artifacts/{family}/{name}/readme": "artifact:view",
    "GET /artifacts/{family}/{name}/files": "artifact:view",
    "GET /artifacts/{family}/{name}/cves": "cve:view",
    "GET /artifacts/{family}/{name}/closure": "cve:view",
    "GET /cves": "cve:view",
    "GET /cves/report": "cve:view",
    "GET /artifacts/{family}/{name}/dependencies": "artifact:view",
    "GET /artifacts/{family}/{name}/dependants": "artifact:view",
    "GET /mirrors": "channel.mirror:view",
    "POST /mirrors": "channel.mirror:edit",
    "POST /mirrors/dry_run": "channel.mirror:edit",
    "GET /mirrors/{mirror_id}": "channel.mirror:view",
    "PUT /mirrors/{mirror_id}": "channel.mirror:edit",
    "DELETE /mirrors/{mirror_id}": "channel.mirror:edit",
    "POST /mirrors/{mirror_id}/dry_run": "channel.mirror:edit",
    "POST /mirrors/{mirror_id}/stop_mirror_sync": "channel.mirror:edit",
    "POST /mirrors/{mirror_id}/restart_mirror_sync": "channel.mirror:edit",
    "GET /mirrors/{mirror_id}/sync_state": "channel.mirror:view",
    "GET /mirrors/{mirror_id}/conflicts": "channel.mirror:view",
    "POST /mirrors/{mirror_id}/conflicts": "channel.mirror:edit",
    "GET /policy": "channel:view",
    "GET /explain": "artifact:view",
    "GET /explain/counts": "channel:history",
    "POST /simulate": "channel:edit",
    "POST /simulate/lines": "channel:edit",
    "GET /kept_out": "channel.mirror:view",
    "POST /kept_out/restore": "channel.mirror:edit",
    "GET /service-accounts": "channel:edit",
    "POST /service-accounts": "channel:edit",
    "DELETE /service-accounts/{account_id}": "channel:edit",
    "GET /service-accounts/{account_id}/tokens": "channel:edit",
    "POST /service-accounts/{account_id}/tokens": "channel:edit",
    "PUT /service-accounts/{account_id}/tokens/{token_id}": "channel:edit",
    "DELETE /service-accounts/{account_id}/tokens/{token_id}": "channel:edit",
}

ROUTES: dict[str, str] = {
    "GET /api/openapi.json": OPEN,
    "GET /api/system": OPEN,
    "POST /api/auth/login": OPEN,
    # ------------------------------------------------------------ pages of the browser
    "GET /login": OPEN,
    "POST /login": OPEN,
    "GET /.well-known/openid-configuration": OPEN,
    "GET /auth/realms/packhouse/.well-known/openid-configuration": OPEN,
    "GET /auth/realms/packhouse/protocol/openid-connect/certs": OPEN,
    "POST /auth/realms/packhouse/protocol/openid-connect/auth/device": OPEN,
    "POST /auth/realms/packhouse/protocol/openid-connect/token": OPEN,
    "GET /device": OPEN,
    "POST /device": OPEN,
    "POST /api/auth/api-keys": "account:edit",
    "POST /api/iam/api-keys": "account:edit",
    "GET /auth/realms/packhouse/protocol/openid-connect/auth": OPEN,
    "POST /auth/realms/packhouse/protocol/openid-connect/auth": OPEN,
    "GET /auth/realms/packhouse/protocol/openid-connect/logout": OPEN,
    "GET /app/local-login-success": OPEN,
    "GET /app/local-login-error": OPEN,
    "GET /api/auth/authorize": OPEN,
    "GET /auth/realms/packhouse/protocol/openid-connect/userinfo": "account:view",
    "POST /auth/realms/packhouse/protocol/openid-connect/userinfo": "account:view",
    "GET /api/auth/oauth2/userinfo": "account:view",
    "GET /api/auth/account/profile": "account:view",
    "GET /api/auth/organizations/my": "account:view",
    "POST /logout": OPEN,
    "GET /app/page.css": OPEN,
    "GET /login/{provider}": OPEN,
    "GET /login/{provider}/callback": OPEN,
    "POST /login/{provider}/backchannel": OPEN,  # by the provider's signature
    # ------------------------------------------------------------ one's own account
    "GET /api/account": "account:view",
    "PUT /api/account": "account:edit",
    "PUT /api/account/password": "account:edit",
    "POST /api/account/totp": "account:edit",
    "POST /api/account/totp/confirm": "account:edit",
    "DELETE /api/account/totp": "account:edit",
    "GET /api/account/logins": "account:view",
    "DELETE /api/account/logins": "account:edit",
    "DELETE /api/account/logins/{login_id}": "account:edit",
    "GET /api/account/me": "account:view",
    "GET /api/account/channels": "account:view",
    "GET /api/account/notifications": "account:view",
    "PUT /api/account/notifications": "account:edit",
    "GET /api/account/scopes": "account:view",
    "GET /api/system/scopes": "account:view",
    "GET /api/account/token-info": "account:view",
    "GET /api/account/tokens": "account:view",
    "POST /api/account/tokens": "account:edit",
    "PUT /api/account/tokens/{token_id}": "account:edit",
    "PATCH /api/account/tokens/{token_id}": "account:edit",
    "DELETE /api/account/tokens/{token_id}": "account:edit",
    "GET /api/service-accounts": "account:view",
    # ------------------------------------------------------------ people
    "GET /api/users": "account:manage",
    "POST /api/users": "account:manage",
    "GET /api/users/{username}": "account:manage",
    "PUT /api/users/{username}": "account:manage",
    "DELETE /api/users/{username}": "account:manage",
    "DELETE /api/users/{username}/totp": "account:manage",
    "GET /api/users/{username}/logins": "account:manage",
    "DELETE /api/users/{username}/logins": "account:manage",
    "GET /api/users/{username}/tokens": "account:manage",
    "DELETE /api/users/{username}/tokens/{token_id}": "account:manage",
    "GET /api/roles": "roles:view",
    "POST /api/roles": "roles:edit",
    "GET /api/roles/{role}": "roles:view",
    "PUT /api/roles/{role}": "roles:edit",
    "DELETE /api/roles/{role}": "roles:edit",
    "GET /api/permissions": "account:view",
    "GET /api/groups": "account:view",
    "POST /api/groups": "channel.group:create",
    "GET /api/groups/{group}": "channel.group:view",
    "PUT /api/groups/{group}": "channel.group:edit",
    "DELETE /api/groups/{group}": "channel.group:edit",
    "GET /api/groups/{group}/channels": "channel.group:view",
    "GET /api/groups/{group}/members": "channel.group:view",
    "PUT /api/groups/{group}/members/{username}": "channel.group:edit",
    "DELETE /api/groups/{group}/members/{username}": "channel.group:edit",
    "GET /api/identity-providers": "system:manage",
    "POST /api/identity-providers/{provider_name}/sync": "system:manage",
    "POST /api/reports/artifact_downloads": "audit:view",
    "GET /api/events": "audit:view",
    "GET /api/events/export": "audit:view",
    "GET /api/events/keys": "audit:view",
    "GET /api/system/settings": "system:manage",
    "PUT /api/system/settings": "system:manage",
    # ------------------------------------------------------------ vulnerabilities
    "GET /api/cves": "cve:view",
    "GET /api/cves/knowledge": "cve:view",
    "GET /api/cves/{cve_id}": "cve:view",
    "GET /api/cves/{cve_id}/files": "cve:view",
    "GET /api/cves/{cve_id}/blast_radius": "cve:view",
    "GET /api/cves/{cve_id}/downloads": "audit:view",
    "GET /api/cves/{cve_id}/statements": "cve:view",
    "GET /api/feeds": "cve:view",
    "POST /api/feeds": "system:manage",
    "GET /api/feeds/{feed_name}": "cve:view",
    "PUT /api/feeds/{feed_name}": "system:manage",
    "DELETE /api/feeds/{feed_name}": "system:manage",
    "POST /api/feeds/{feed_name}/run": "system:manage",
    "POST /api/feeds/{feed_name}/stop": "system:manage",
    "GET /api/statements": "cve:view",
    "POST /api/statements": "cve:edit",
    "POST /api/statements/bulk": "cve:edit",
    "POST /api/statements/withdraw": "cve:edit",
    "GET /api/statements/{statement_id}": "cve:view",
    "PUT /api/statements/{statement_id}": "cve:edit",
    "DELETE /api/statements/{statement_id}": "cve:edit",
    "GET /api/aliases": "cve:view",
    "POST /api/aliases": "cve:edit",
    "DELETE /api/aliases": "cve:edit",
    "GET /api/vex": "cve:view",
    "POST /api/vex": "cve:edit",
    "GET /api/quarantine": "cve:view",
    "POST /api/quarantine": "cve:edit",
    "GET /api/quarantine/{sha256}": "cve:edit",
    "DELETE /api/quarantine/{sha256}": "cve:edit",
    # ------------------------------------------------------------ policies
    "GET /api/trusted-keys": "policy:view",
    "POST /api/trusted-keys": "policy:edit",
    "DELETE /api/trusted-keys/{key}": "policy:edit",
    "GET /api/policies": "policy:view",
    "POST /api/policies": "policy:create",
    "GET /api/policies/{policy_id}": "policy:view",
    "PUT /api/policies/{policy_id}": "policy:edit",
    "DELETE /api/policies/{policy_id}": "policy:delete",
    "POST /api/policies/{policy_id}/assign": "policy:edit",
    "POST /api/policies/{policy_id}/unassign": "policy:edit",
    "GET /api/waivers": "policy:view",
    "POST /api/waivers": "policy:edit",
    "GET /api/waivers/{waiver_id}": "policy:view",
    "DELETE /api/waivers/{waiver_id}": "policy:edit",
    "GET /api/reservations": "policy:view",
    "POST /api/reservations": "policy:edit",
    "DELETE /api/reservations/{reservation_id}": "policy:edit",
    # ------------------------------------------------------------ channels
    "GET /api/artifacts": "channel:view-artifacts",
    "GET /api/mirrors": "mirror:view",
    "GET /api/channels": "channel:view",
    "POST /api/channels": "channel:create",
    "GET /api/channels/{channel}/subchannels": "channel:view",
    "POST /api/channels/{channel}/subchannels": "subchannel:create",
    "POST /api/channels/{channel}/{subchannel}/artifacts": "artifact:create",
    "POST /api/namespaces/{channel}/channels/{subchannel}/sharing": "channel.group:edit",
}

#: what a bulk request does -> the action it should need on its channel, and on the one it names, if it does
BULK: dict[str, tuple[str, str]] = {
    "copy": ("artifact:download", "artifact:create"),
    "move": ("artifact:delete", "artifact:create"),
    "delete": ("artifact:delete", ""),
}

#: what package clients read and write, below `/api/repo/CHANNEL`
DATA: dict[str, str] = {
    "GET /noarch/repodata.json": "channel:view-artifacts",
    "HEAD /noarch/repodata.json.zst": "channel:view-artifacts",
    "GET /noarch/repodata_shards.msgpack.zst": "channel:view-artifacts",
    "GET /channeldata.json": "channel:view-artifacts",
    "GET /notices.json": "channel:view-artifacts",
    "GET /simple/": "channel:view-artifacts",
    "GET /noarch/tea-1.0-0.conda": "artifact:download",
    "HEAD /noarch/tea-1.0-0.conda": "artifact:download",
    "PUT /noarch/tea-1.0-0.conda": "artifact:create",
    "POST ": "artifact:create",
}


@dataclass(frozen=True)
class Someone:
    """A caller, as far as rights care."""

    name: str
    levels: Mapping[str, int]  #: what their roles give; a category that is missing: none
    known: bool = True  #: has shown a credential
    admin: bool = False


@dataclass(frozen=True)
class Place:
    """A channel, or a group of people, as one caller finds it."""

    privacy: str  #: public | authenticated | private, `group`, or `missing`
    #: on a channel manage of its owner, else the highest of what it was shared at with them or their groups; over a
    #: group read of its members, or more
    standing: int = NONE
    below: bool = False  #: a subchannel


def action_of(method: str, template: str) -> str:
    """Return what a route should need. Raises KeyError with what to do for a route that nobody has thought about."""
    row = f"{method} {template}"
    for base in ("/api/channels/{channel}/subchannels/{subchannel}", "/api/channels/{channel}"):
        if row not in ROUTES and template.startswith(base) and f"{method} {template[len(base) :]}" in OF_CHANNEL:
            return OF_CHANNEL[f"{method} {template[len(base) :]}"]
    if row not in ROUTES:
        raise KeyError(f"Nobody has said who may `{row}`: write the action it should need into tests/kit/rights.py.")
    return ROUTES[row]


def answer(
    who: Someone,
    place: Place | None,
    action: str,
    *,
    scopes: frozenset[str] | None = None,
    listed: int | None = None,
    data_plane: bool = False,
) -> int:
    """Return the status the guard should refuse with; 0: it should let the request pass.

    `scopes` are those of the token shown; `listed` is the level of the resource token shown on this very place, 0 where
    it does not name it.
    """
    if action == OPEN:
        return 0
    if place is not None and not _sees(who, place, listed):
        return 401 if data_plane and not who.known else 404
    if place is not None and place.below and "sub" + action in ACTIONS:
        action = "sub" + action
    if _may(who, place, action) and _reaches(place, action, scopes, listed):
        return 0
    return 403 if who.known else 401


def answer_in_bulk(
    who: Someone,
    places: tuple[Place, Place],
    does: str,
    *,
    scopes: frozenset[str] | None = None,
    listed: tuple[int, int] | tuple[None, None] = (None, None),
) -> int:
    """Return the same for a bulk request on a channel that names another one; 0: it should do what it is asked."""
    on_source, on_target = BULK[does]
    for place, level, action in (
        (places[0], listed[0], "channel:view-artifacts"),
        (places[0], listed[0], on_source),
        (places[1], listed[1], on_target),
    ):
        if action and (status := answer(who, place, action, scopes=scopes, listed=level)):
            return status
    return 0


def _sees(who: Someone, place: Place, listed: int | None) -> bool:
    if place.privacy in ("public", "missing"):
        return place.privacy == "public"
    if listed == NONE:  # a token for other places sees here what anybody sees
        return False
    if who.admin or (place.privacy == "authenticated" and who.known):
        return True
    return place.standing >= READ or (place.privacy == "group" and who.levels.get("channel.group", NONE) >= WRITE)


def _may(who: Someone, place: Place | None, action: str) -> bool:
    if action == "account:view" and who.known:  # who they are, everybody is told
        return True
    category = _CATEGORY.get(action, action.partition(":")[0])
    level = MANAGE if who.admin else who.levels.get(category, NONE)
    if place is not None and LEVELS[category][3]:
        level = max(level, place.standing)
    return level >= ACTIONS[action]


def _reaches(place: Place | None, action: str, scopes: frozenset[str] | None, listed: int | None) -> bool:
    """Whether the token shown reaches so far. Every one may ask who shows it."""
    if action == "account:view":
        return True
    if listed is not None:
        public = place is None or place.privacy == "public"
        strangers = public and _may(STRANGER, Place("public") if place else None, action)
        return strangers or (place is not None and listed >= ACTIONS[action])
    return scopes is None or action in scopes


STRANGER = Someone("anonymous", {category: row[0] for category, row in LEVELS.items()}, known=False)
