"""What rules that look at other files may know of a channel: an immutable summary, made by `survey`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from packhouse.security.policies.keys import Keys
from packhouse.security.policies.reserved import NOTHING, Reserved

_EMPTY: Mapping[tuple[str, str], str] = MappingProxyType({})


class Context(msgspec.Struct, frozen=True, eq=False):
    """Without a survey, nothing is known of other files."""

    reserved: Reserved = NOTHING
    #: files that stand here in the newer archive form
    modern: Keys = Keys.NONE
    #: files that selected ones need
    needed: Keys = Keys.NONE
    #: files that are the newest of their package which may be seen
    newest: Keys = Keys.NONE
    #: files that cannot be installed any more, with what they miss
    broken: Keys = Keys.NONE
    missing: tuple[str, ...] = ()
    #: (name, version) -> the known-exploited vulnerability which the version before it has, and it has not
    fixes: Mapping[tuple[str, str], str] = _EMPTY
