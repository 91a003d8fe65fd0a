"""What hides an entry in its channel, as one condition: the same at the gate, in lists and in the index.

The channel's ruleset speaks first, and the channel's own reasons under it have the last word.
"""

from __future__ import annotations

from sqlalchemy import FromClause, and_, func
from sqlalchemy.sql.elements import ColumnElement

from packhouse.catalog.judgement_tables import overlay, verdict
from packhouse.catalog.schema import channel, entry

_CONTENT = func.coalesce(entry.c.content_id, 0)
_VERDICT = and_(
    verdict.c.record_id == entry.c.record_id,
    verdict.c.content_id == _CONTENT,
    verdict.c.ruleset_id == channel.c.ruleset_id,
)
_OVERLAY = and_(
    overlay.c.record_id == entry.c.record_id,
    overlay.c.content_id == _CONTENT,
    # `+ 0` keeps a planner without statistics from going through all reasons of the channel for each entry
    overlay.c.channel_id + 0 == entry.c.channel_id,
    overlay.c.ruleset_id == channel.c.ruleset_id,
)
#: the rule that hides the entry, or null; in a query from `judged` entries
HIDDEN_BY: ColumnElement[str | None] = func.nullif(func.coalesce(overlay.c.rule, verdict.c.rule), "")
#: since when, in microseconds
HIDDEN_SINCE: ColumnElement[int | None] = func.coalesce(overlay.c.since, verdict.c.since)
#: until when, in microseconds, if time alone ends it
HIDDEN_UNTIL: ColumnElement[int | None] = overlay.c.until
#: an entry that readers may see
SHOWN = HIDDEN_BY.is_(None)


def judged(entries: FromClause) -> FromClause:
    """Return entries, joined with their channels already, beside what is said against them."""
    return entries.outerjoin(verdict, _VERDICT).outerjoin(overlay, _OVERLAY)
