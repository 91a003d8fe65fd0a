"""Members that are one of a few words: what the OpenAPI document lists. The rules themselves refuse other words."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec

from packhouse.catalog.accounts.account import ROLES
from packhouse.catalog.channels.channel import PRIVACIES
from packhouse.catalog.logins.logins import Kind as KindOfLogin
from packhouse.catalog.mirrors.mirror import MODES, SHOWN_STATES, TYPES
from packhouse.catalog.notifications.outbox import DROPPED, FAILED, PENDING, SENT
from packhouse.catalog.packages.package_changes import CAUSES
from packhouse.catalog.policies.store import STATES
from packhouse.catalog.roles.role import WORDS
from packhouse.catalog.tokens.reach import LEVELS as LEVELS_ON_CHANNELS
from packhouse.catalog.tokens.reach import TYPES as TYPES_OF_RESOURCES
from packhouse.catalog.vulnerabilities.feeds import KINDS
from packhouse.catalog.vulnerabilities.feeds import STATES as STATES_OF_FEEDS
from packhouse.doors.api.parameters import Word
from packhouse.security.vulnerabilities.advisory import Kind
from packhouse.security.vulnerabilities.aliases import STRENGTH
from packhouse.security.vulnerabilities.statements import SEVERITY, Judged
from packhouse.workflows.channels.editing import BEHAVIORS
from packhouse.workflows.channels.notices import LEVELS
from packhouse.workflows.vulnerabilities.knowledge import Answer


def _one_of(*words: str) -> msgspec.Meta:
    return msgspec.Meta(extra_json_schema={"extra": {"enum": list(words)}})


Privacy = Annotated[Word, _one_of(*PRIVACIES)]
Behavior = Annotated[Word, _one_of(*BEHAVIORS)]
Access = Annotated[str, _one_of("owner", "collaborator", "viewer")]
Role = Annotated[Word, _one_of("everyone", *ROLES)]
LoginKind = Annotated[str, _one_of(*get_args(KindOfLogin))]
AccountKind = Annotated[str, _one_of("person", "service")]
RoleLevel = Annotated[Word, _one_of(*WORDS)]
TokenType = Annotated[str, _one_of("scope", "resource", "user")]
ResourceType = Annotated[Word, _one_of(*TYPES_OF_RESOURCES)]
Permission = Annotated[Word, _one_of(*LEVELS_ON_CHANNELS)]
SHARING = ("share", "unshare")
SharingAction = Annotated[Word, _one_of(*SHARING)]
NoticeLevel = Annotated[Word, _one_of(*LEVELS)]
MirrorMode = Annotated[Word, _one_of(*MODES)]
MirrorType = Annotated[Word, _one_of(*TYPES)]
MirrorState = Annotated[str, _one_of(*SHOWN_STATES)]
ConflictDecision = Annotated[str, _one_of("keep", "remove")]
IndexingStatus = Annotated[str, _one_of("active", "passive")]
FileSource = Annotated[str, _one_of("upload", "mirror")]
CveKind = Annotated[str, _one_of(*get_args(Kind))]
CveStatus = Annotated[str, _one_of(*SEVERITY)]
CveAnswer = Annotated[str, _one_of(*get_args(Answer))]
FeedKind = Annotated[Word, _one_of(*KINDS)]
FeedState = Annotated[str, _one_of(*STATES_OF_FEEDS)]
CveSeverity = Annotated[str, _one_of("critical", "high", "medium", "low", "none", "unknown")]
DeliveryState = Annotated[str, _one_of(PENDING, SENT, FAILED, DROPPED)]
ChangeAction = Annotated[str, _one_of("added", "removed")]
ChangeCause = Annotated[str, _one_of(*CAUSES)]
Comparator = Annotated[Word, _one_of("==", "<=", ">=", "<", ">")]
Link = Annotated[Word, _one_of("and", "or")]
Whether = Annotated[Word, _one_of("allow", "hide")]
RuleAnswer = Annotated[str, _one_of("passes", "hides", "does_not_apply")]
WaiverState = Annotated[str, _one_of("active", "ended")]
PolicyState = Annotated[str, _one_of("unassigned", *STATES)]
AliasProvenance = Annotated[str, _one_of(*STRENGTH)]
JudgedStatus = Annotated[str, _one_of(*get_args(Judged))]


def with_null(schema: Any) -> None:
    """Let every enumeration of a member that may be null hold null, in place: a schema of schemas, at any depth."""
    if isinstance(schema, dict):
        if "enum" in schema and {"type": "null"} in schema.get("oneOf", []):
            schema["enum"] = [*dict.fromkeys([*schema["enum"], None])]
        for inner in schema.values():
            with_null(inner)
    elif isinstance(schema, list):
        for inner in schema:
            with_null(inner)
