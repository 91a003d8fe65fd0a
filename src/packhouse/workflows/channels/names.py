"""Which paths a channel may take, so that no channel can ever hide an address of the server or of a package."""

from __future__ import annotations

from packhouse.catalog.channels.channel import RESERVED_FOR_LATER, check_name
from packhouse.formats.conda.filename import KNOWN_SUBDIRS

#: what follows a channel's name in the addresses of the formats and of the management API
CONTENT_SEGMENTS = frozenset(
    {
        "artifacts",
        "bin",
        "channels",
        "cran",
        "groups",
        "jupyter",
        "label",
        "mirrors",
        "notices",
        "repo",
        "simple",
        "src",
    }
    | {"subchannels", "t", "upload", "users"}
)
#: first segments that clients of the management API know, whether or not this server answers them yet
MANAGEMENT = frozenset(
    {"account", "artifacts", "cves", "diagnose", "events", "mirrors", "namespace-channels", "namespaces"}
    | {"organizations", "policies", "reports", "service-accounts", "system", "users"}
)


def check_channel_name(name: str, reserved: frozenset[str]) -> str:
    """Return `name` if a channel may bear it; `reserved` are the first segments of all mounted routes.

    Raises PackhouseError: `bad_request`, `name_reserved`.
    """
    return check_name(name, reserved | MANAGEMENT | RESERVED_FOR_LATER | KNOWN_SUBDIRS)


def check_subchannel_name(name: str) -> str:
    """Return `name` if a subchannel may bear it. Raises PackhouseError: `bad_request`, `name_reserved`."""
    return check_name(name, CONTENT_SEGMENTS | KNOWN_SUBDIRS)
