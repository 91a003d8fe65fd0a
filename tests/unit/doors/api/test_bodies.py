"""Bodies of requests: a member nobody knows is refused, at any depth, with the nearest that is known."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
import pytest

from packhouse.doors.api.application import NOUNS
from packhouse.doors.api.bodies import structures, unknown_member
from packhouse.doors.api.bulk import BulkRequest
from packhouse.doors.api.channels import ChannelRequest
from packhouse.doors.api.mirrors import MirrorEdit, MirrorRequest


def bodies() -> list[Any]:
    """Return the types of all JSON bodies."""
    hints = [get_type_hints(handler.fn) for noun in NOUNS for handler in noun.HANDLERS]
    return [hint["data"] for hint in hints if "data" in hint]


def test_every_structure_of_every_body_refuses_unknown_members() -> None:
    seen = {structure.cls for body in bodies() for structure in structures(body)}
    assert {"ChannelRequest", "BulkItem", "Filters", "Credential"} <= {cls.__name__ for cls in seen}
    assert [cls.__name__ for cls in seen if not cls.__struct_config__.forbid_unknown_fields] == []


@pytest.mark.parametrize(
    ("body", "sent", "place", "said"),
    [
        (ChannelRequest, {"name": "a", "privcy": "private"}, "data", "`privcy`. Did you mean `privacy`?"),
        (ChannelRequest, {"name": "a", "zzz": 1}, "data", "`zzz`. Known are `name`, `description`, `privacy`."),
        (BulkRequest, {"action": "copy", "items": [{"name": "a"}, {"cky": "b"}]}, "items[1]", "`ckey`"),
        (MirrorRequest, {"filters": {"only_spec": ["a"]}}, "filters", "`only_specs`"),
        (MirrorRequest | None, {"credential": {"pasword": "a"}}, "credential", "`password`"),
    ],
)
def test_the_refusal_names_the_member_and_the_nearest(body: Any, sent: Any, place: str, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(sent, body)
    refusal = unknown_member(str(caught.value), place, body)
    assert refusal is not None
    assert refusal.code == "bad_request"
    assert said in str(refusal)


#: what the known command lines send, by body
SENT = [
    (ChannelRequest, {"name": "team"}),
    (BulkRequest, {"action": "copy", "items": [{"name": "a", "family": "conda"}], "target_channel": "b"}),
    (
        MirrorRequest,
        {
            "mirror_name": "a", "source_root": "https://example.org/c", "mirror_mode": "passive", "cron": "0 0 * * *",
            "mirror_type": "conda", "run_now": False, "proxy": None,
            "filters": {
                "subdirs": [], "projects": [], "include_licenses": [], "exclude_licenses": [], "only_specs": [],
                "exclude_specs": [], "include_specs": [], "date_from": None, "date_to": None,
                "cve_score_threshold": None, "exclude_non_curated_cve": False, "only_signed": False,
            },
        },
    ),
    (
        MirrorEdit,
        {
            "mirror_id": "x", "mirror_name": "a", "mirror_type": "conda", "mirror_mode": "active", "state": "running",
            "source_root": "https://example.org/c", "proxy": None, "cron": "", "filters": {}, "last_run_at": None,
            "created_at": "2027-01-01T00:00:00Z", "updated_at": "2027-01-01T00:00:00Z", "run_now": True,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sent"), SENT)
def test_what_the_command_lines_send_passes(body: Any, sent: Any) -> None:
    msgspec.convert(sent, body)
