"""What hides an entry in its channel, as one condition: the same at the gate, in lists and in the index.

The channel's ruleset speaks first, and the channel's own reasons under it have the last word. What another ruleset says
is asked by the same condition.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import FromClause, and_, func
from sqlalchemy.sql.elements import ColumnElement

from packhouse.catalog.judgement_tables import overlay, verdict
from packhouse.catalog.schema import channel, entry

_CONTENT = func.coalesce(entry.c.content_id, 0)


class Said(NamedTuple):
    """What a ruleset says against entries, in a query from `judged` entries."""

    verdicts: FromClause
    overlays: FromClause
    ruleset: ColumnElement[Any]

    @property
    def hidden_by(self) -> ColumnElement[str | None]:
        """The rule that hides the entry, or null."""
        return func.nullif(func.coalesce(self.overlays.c.rule, self.verdicts.c.rule), "")


#: by the ruleset that holds in the channel of the entry
HOLDING = Said(verdict, overlay, channel.c.ruleset_id)
#: the rule that hides the entry, or null; in a query from `judged` entries
HIDDEN_BY = HOLDING.hidden_by
#: since when, in microseconds
HIDDEN_SINCE: ColumnElement[int | None] = func.coalesce(overlay.c.since, verdict.c.since)
#: until when, in microseconds, if time alone ends it
HIDDEN_UNTIL: ColumnElement[int | None] = overlay.c.until
#: an entry that readers may see
SHOWN = HIDDEN_BY.is_(None)


def judged(entries: FromClause, said: Said = HOLDING) -> FromClause:
    """Return entries, joined with their channels already, beside what is said against them."""
    by_ruleset, by_channel = said.verdicts.c, said.overlays.c
    on_verdict = and_(
        by_ruleset.record_id == entry.c.record_id,
        by_ruleset.content_id == _CONTENT,
        by_ruleset.ruleset_id == said.ruleset,
    )
    on_overlay = and_(
        by_channel.record_id == entry.c.record_id,
        by_channel.content_id == _CONTENT,
        # `+ 0` keeps a planner without statistics from going through all reasons of the channel for each entry
        by_channel.channel_id + 0 == entry.c.channel_id,
        by_channel.ruleset_id == said.ruleset,
    )
    return entries.outerjoin(said.verdicts, on_verdict).outerjoin(said.overlays, on_overlay)
