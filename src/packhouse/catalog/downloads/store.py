"""Where the single downloads of an installation lie, by its database."""

from __future__ import annotations

from packhouse.catalog.downloads.items import ItemStore
from packhouse.catalog.downloads.months import Months
from packhouse.catalog.downloads.partitions import Partitions
from packhouse.core.db import Database


def open_items(db: Database) -> ItemStore:
    """Return the single downloads that belong to a catalogue; nothing is opened yet."""
    return Months(db.url) if db.dialect == "sqlite" else Partitions(db)
