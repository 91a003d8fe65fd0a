"""Which right each route needs: the one table the guard looks into. A route without a row fails the build.

The rights themselves, and who has them, are in `catalog.accounts.permissions`. A route below a channel or a
group asks for the right on it, every other one for the right in the installation.
"""

from __future__ import annotations

from packhouse.catalog.rights.permissions import Action

CHANNEL = "/api/channels/{channel}"
SUBCHANNEL = "/api/channels/{channel}/subchannels/{subchannel}"

#: open to everybody, whoever they are
OPEN = None

#: below a channel or a subchannel
_OF_CHANNEL: dict[tuple[str, str], Action] = {
    ("GET", ""): "channel:view",
    ("PUT", ""): "channel:edit",
    ("DELETE", ""): "channel:delete",
    ("GET", "/history"): "channel:history",
    ("GET", "/changes"): "channel:history",
    ("GET", "/groups"): "channel.group:view",
    ("PUT", "/groups/{group}"): "channel.group:edit",
    ("DELETE", "/groups/{group}"): "channel.group:edit",
    ("GET", "/users"): "channel.group:view",
    ("PUT", "/users/{username}"): "channel.group:edit",
    ("DELETE", "/users/{username}"): "channel.group:edit",
    ("GET", "/notices"): "channel:view",
    ("POST", "/notices"): "channel:edit",
    ("DELETE", "/notices/{notice_id}"): "channel:edit",
    ("GET", "/notifications"): "notification:view",
    ("PUT", "/notifications"): "notification:edit",
    ("PUT", "/notifications/subscription"): "account:edit",  # asks for SUBSCRIBE besides
    ("POST", "/notifications/webhooks"): "notification:edit",
    ("DELETE", "/notifications/webhooks/{webhook_id}"): "notification:edit",
    ("GET", "/notifications/digests"): "notification:view",
    ("GET", "/notifications/deliveries"): "notification:edit",
    ("POST", "/notifications/deliveries/retry"): "notification:edit",
    ("GET", "/artifacts"): "channel:view-artifacts",
    ("POST", "/artifacts"): "artifact:create",
    # asks for BULK besides, once it has read what shall be done
    ("PUT", "/artifacts/bulk"): "channel:view-artifacts",
    ("GET", "/artifacts/{family}/{name}"): "artifact:view",
    ("DELETE", "/artifacts/{family}/{name}"): "artifact:delete",
    ("GET", "/artifacts/{family}/{name}/readme"): "artifact:view",
    ("GET", "/artifacts/{family}/{name}/files"): "artifact:view",
    ("GET", "/artifacts/{family}/{name}/cves"): "cve:view",
    ("GET", "/artifacts/{family}/{name}/closure"): "cve:view",
    ("GET", "/cves"): "cve:view",
    ("GET", "/cves/report"): "cve:view",
    ("GET", "/artifacts/{family}/{name}/dependencies"): "artifact:view",
    ("GET", "/artifacts/{family}/{name}/dependants"): "artifact:view",
    ("GET", "/mirrors"): "channel.mirror:view",
    ("POST", "/mirrors"): "channel.mirror:edit",
    ("POST", "/mirrors/dry_run"): "channel.mirror:edit",
    ("GET", "/mirrors/{mirror_id}"): "channel.mirror:view",
    ("PUT", "/mirrors/{mirror_id}"): "channel.mirror:edit",
    ("DELETE", "/mirrors/{mirror_id}"): "channel.mirror:edit",
    ("POST", "/mirrors/{mirror_id}/dry_run"): "channel.mirror:edit",
    ("POST", "/mirrors/{mirror_id}/stop_mirror_sync"): "channel.mirror:edit",
    ("POST", "/mirrors/{mirror_id}/restart_mirror_sync"): "channel.mirror:edit",
    ("GET", "/mirrors/{mirror_id}/sync_state"): "channel.mirror:view",
    ("GET", "/mirrors/{mirror_id}/conflicts"): "channel.mirror:view",
    ("POST", "/mirrors/{mirror_id}/conflicts"): "channel.mirror:edit",
    ("GET", "/policy"): "channel:view",
    ("GET", "/explain"): "artifact:view",
    ("GET", "/explain/counts"): "channel:history",
    ("POST", "/simulate"): "channel:edit",
    ("POST", "/simulate/lines"): "channel:edit",
    ("GET", "/kept_out"): "channel.mirror:view",
    ("POST", "/kept_out/restore"): "channel.mirror:edit",
    # service accounts
    ("GET", "/service-accounts"): "channel:edit",
    ("POST", "/service-accounts"): "channel:edit",
    ("DELETE", "/service-accounts/{account_id}"): "channel:edit",
    ("GET", "/service-accounts/{account_id}/tokens"): "channel:edit",
    ("POST", "/service-accounts/{account_id}/tokens"): "channel:edit",
    ("PUT", "/service-accounts/{account_id}/tokens/{token_id}"): "channel:edit",
    ("DELETE", "/service-accounts/{account_id}/tokens/{token_id}"): "channel:edit",
}

ROUTES: dict[tuple[str, str], Action | None] = {
    ("GET", "/api/openapi.json"): OPEN,
    ("GET", "/api/system"): OPEN,
    ("POST", "/api/auth/login"): OPEN,
    ("GET", "/api/account"): "account:view",
    ("PUT", "/api/account"): "account:edit",  # asks for DEFAULT_CHANNEL and UPLOAD besides
    ("PUT", "/api/account/password"): "account:edit",
    ("POST", "/api/account/totp"): "account:edit",
    ("POST", "/api/account/totp/confirm"): "account:edit",
    ("DELETE", "/api/account/totp"): "account:edit",
    ("GET", "/api/account/logins"): "account:view",
    ("DELETE", "/api/account/logins"): "account:edit",
    ("DELETE", "/api/account/logins/{login_id}"): "account:edit",
    ("GET", "/api/account/me"): "account:view",
    ("GET", "/api/account/channels"): "account:view",
    ("GET", "/api/account/notifications"): "account:view",
    ("PUT", "/api/account/notifications"): "account:edit",
    ("GET", "/api/account/scopes"): "account:view",
    ("GET", "/api/system/scopes"): "account:view",
    ("GET", "/api/account/token-info"): "account:view",
    ("GET", "/api/account/tokens"): "account:view",
    ("POST", "/api/account/tokens"): "account:edit",
    ("PUT", "/api/account/tokens/{token_id}"): "account:edit",
    ("PATCH", "/api/account/tokens/{token_id}"): "account:edit",
    ("DELETE", "/api/account/tokens/{token_id}"): "account:edit",
    ("GET", "/api/users/{username}/tokens"): "account:manage",
    ("DELETE", "/api/users/{username}/tokens/{token_id}"): "account:manage",
    ("GET", "/api/service-accounts"): "account:view",  # those of channels the caller manages
    ("GET", "/api/users"): "account:manage",
    ("POST", "/api/users"): "account:manage",
    # each of these tells of, and changes, only accounts that can do no more than the caller
    ("GET", "/api/users/{username}"): "account:manage",
    ("PUT", "/api/users/{username}"): "account:manage",
    ("DELETE", "/api/users/{username}"): "account:manage",
    ("DELETE", "/api/users/{username}/totp"): "account:manage",
    ("GET", "/api/users/{username}/logins"): "account:manage",
    ("DELETE", "/api/users/{username}/logins"): "account:manage",
    # groups of people; below a group the right on that group
    ("GET", "/api/groups"): "account:view",  # the caller's own, unless they may see the others
    ("POST", "/api/groups"): "channel.group:create",
    ("GET", "/api/groups/{group}"): "channel.group:view",
    ("PUT", "/api/groups/{group}"): "channel.group:edit",
    ("DELETE", "/api/groups/{group}"): "channel.group:edit",
    ("GET", "/api/groups/{group}/members"): "channel.group:view",
    ("POST", "/api/namespaces/{channel}/channels/{subchannel}/sharing"): "channel.group:edit",  # as a client says it
    ("GET", "/api/groups/{group}/channels"): "channel.group:view",
    ("PUT", "/api/groups/{group}/members/{username}"): "channel.group:edit",
    ("DELETE", "/api/groups/{group}/members/{username}"): "channel.group:edit",
    ("GET", "/api/artifacts"): "channel:view-artifacts",
    ("GET", "/api/cves"): "cve:view",
    ("GET", "/api/cves/knowledge"): "cve:view",
    ("GET", "/api/cves/{cve_id}"): "cve:view",
    ("GET", "/api/cves/{cve_id}/files"): "cve:view",
    # tells who downloaded what only to those who may read the audit log
    ("GET", "/api/cves/{cve_id}/blast_radius"): "cve:view",
    ("GET", "/api/cves/{cve_id}/downloads"): "audit:view",
    ("GET", "/api/feeds"): "cve:view",
    # a source may be an address inside the network, or a file of the server
    ("POST", "/api/feeds"): "system:manage",
    ("GET", "/api/feeds/{feed_name}"): "cve:view",
    ("PUT", "/api/feeds/{feed_name}"): "system:manage",
    ("DELETE", "/api/feeds/{feed_name}"): "system:manage",
    ("POST", "/api/feeds/{feed_name}/run"): "system:manage",
    ("POST", "/api/feeds/{feed_name}/stop"): "system:manage",
    ("GET", "/api/mirrors"): "mirror:view",
    # ---- audit
    ("GET", "/api/events"): "audit:view",
    ("GET", "/api/events/export"): "audit:view",
    ("GET", "/api/events/keys"): "audit:view",
    ("GET", "/api/system/settings"): "system:manage",
    ("PUT", "/api/system/settings"): "system:manage",
    ("POST", "/api/reports/artifact_downloads"): "audit:view",  # reads; its body may be too long for an address
    # ----
    ("GET", "/api/trusted-keys"): "policy:view",
    ("POST", "/api/trusted-keys"): "policy:edit",
    ("DELETE", "/api/trusted-keys/{key}"): "policy:edit",
    ("GET", "/api/statements"): "cve:view",
    ("POST", "/api/statements"): "cve:edit",
    ("POST", "/api/statements/bulk"): "cve:edit",
    ("POST", "/api/statements/withdraw"): "cve:edit",
    ("GET", "/api/statements/{statement_id}"): "cve:view",
    ("PUT", "/api/statements/{statement_id}"): "cve:edit",
    ("DELETE", "/api/statements/{statement_id}"): "cve:edit",
    ("GET", "/api/cves/{cve_id}/statements"): "cve:view",
    ("GET", "/api/aliases"): "cve:view",
    ("POST", "/api/aliases"): "cve:edit",
    ("DELETE", "/api/aliases"): "cve:edit",
    ("GET", "/api/vex"): "cve:view",
    ("POST", "/api/vex"): "cve:edit",
    ("GET", "/api/quarantine"): "cve:view",
    ("POST", "/api/quarantine"): "cve:edit",
    # tells who downloaded it, from whatever channel
    ("GET", "/api/quarantine/{sha256}"): "cve:edit",
    ("DELETE", "/api/quarantine/{sha256}"): "cve:edit",
    ("GET", "/api/policies"): "policy:view",
    ("POST", "/api/policies"): "policy:create",
    ("GET", "/api/policies/{policy_id}"): "policy:view",
    ("PUT", "/api/policies/{policy_id}"): "policy:edit",
    ("DELETE", "/api/policies/{policy_id}"): "policy:delete",
    ("POST", "/api/policies/{policy_id}/assign"): "policy:edit",
    ("POST", "/api/policies/{policy_id}/unassign"): "policy:edit",
    ("GET", "/api/waivers"): "policy:view",
    ("POST", "/api/waivers"): "policy:edit",
    ("GET", "/api/waivers/{waiver_id}"): "policy:view",
    ("DELETE", "/api/waivers/{waiver_id}"): "policy:edit",
    ("GET", "/api/reservations"): "policy:view",
    ("POST", "/api/reservations"): "policy:edit",
    ("DELETE", "/api/reservations/{reservation_id}"): "policy:edit",
    # ------------------------------------------------------------ roles
    ("GET", "/api/roles"): "roles:view",
    ("POST", "/api/roles"): "roles:edit",
    ("GET", "/api/roles/{role}"): "roles:view",
    ("PUT", "/api/roles/{role}"): "roles:edit",
    ("DELETE", "/api/roles/{role}"): "roles:edit",
    ("GET", "/api/permissions"): "account:view",
    # ------------------------------------------------------------ identity providers
    ("GET", "/api/identity-providers"): "system:manage",
    ("POST", "/api/identity-providers/{provider_name}/sync"): "system:manage",
    # ------------------------------------------------------------ channels
    ("GET", "/api/channels"): "channel:view",
    ("POST", "/api/channels"): "channel:create",
    ("GET", "/api/channels/{channel}/subchannels"): "channel:view",
    ("POST", "/api/channels/{channel}/subchannels"): "subchannel:create",
    # the command lines upload to `CH/SUB` without the word between
    ("POST", "/api/channels/{channel}/{subchannel}/artifacts"): "artifact:create",
    # ---- pages on which people sign in: it is how one gets rights
    ("GET", "/login"): OPEN,
    ("POST", "/login"): OPEN,
    ("POST", "/logout"): OPEN,
    ("GET", "/app/page.css"): OPEN,
    ("GET", "/login/{provider}"): OPEN,
    ("GET", "/login/{provider}/callback"): OPEN,
    ("POST", "/login/{provider}/backchannel"): OPEN,  # the provider's signature says who asks
    # ---- the provider of command lines: they have no credential yet, and the page looks for a browser's by itself
    ("GET", "/.well-known/openid-configuration"): OPEN,
    ("GET", "/auth/realms/packhouse/.well-known/openid-configuration"): OPEN,
    ("GET", "/auth/realms/packhouse/protocol/openid-connect/certs"): OPEN,
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/auth/device"): OPEN,
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/token"): OPEN,
    ("GET", "/device"): OPEN,
    ("POST", "/device"): OPEN,
    ("POST", "/api/auth/api-keys"): "account:edit",
    ("POST", "/api/iam/api-keys"): "account:edit",
    # ---- the same, for those that open a browser, which decides in the name of its login
    ("GET", "/auth/realms/packhouse/protocol/openid-connect/auth"): OPEN,
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/auth"): OPEN,
    ("GET", "/auth/realms/packhouse/protocol/openid-connect/logout"): OPEN,
    ("GET", "/app/local-login-success"): OPEN,
    ("GET", "/app/local-login-error"): OPEN,
    ("GET", "/api/auth/authorize"): OPEN,
    ("GET", "/auth/realms/packhouse/protocol/openid-connect/userinfo"): "account:view",
    ("POST", "/auth/realms/packhouse/protocol/openid-connect/userinfo"): "account:view",
    ("GET", "/api/auth/oauth2/userinfo"): "account:view",
    ("GET", "/api/auth/account/profile"): "account:view",
    ("GET", "/api/auth/organizations/my"): "account:view",
    **{
        (method, base + tail): action
        for base in (CHANNEL, SUBCHANNEL)
        for (method, tail), action in _OF_CHANNEL.items()
    },
}

#: what somebody needs on a channel to be told about it
SUBSCRIBE: Action = "notification:view"

#: what somebody needs to choose their default channel, and on that channel
DEFAULT_CHANNEL: Action = "channel.default-channel:edit"
UPLOAD: Action = "artifact:create"

#: what a bulk request does -> the right it needs on the source, and on the target if it has one
BULK: dict[str, tuple[Action, Action | None]] = {
    "copy": ("artifact:download", "artifact:create"),
    "move": ("artifact:delete", "artifact:create"),
    "delete": ("artifact:delete", None),
}

#: what it needs besides to let a channel have a policy, another one or none, by whatever route: an owner cannot take
#: away what the organisation decided
ASSIGN: Action = "policy:edit"
