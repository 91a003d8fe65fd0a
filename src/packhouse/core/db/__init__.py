"""The database: SQLite (embedded default) or PostgreSQL, behind one small interface.

`open_database(url)` gives a `Database`; its `write(work)` is the only place that commits.
"""

from packhouse.core.db.base import Database, Row, Unit
from packhouse.core.db.beside import folder_beside, open_beside, remove_beside
from packhouse.core.db.opening import open_database
from packhouse.core.db.statements import any_found, any_of, each_of

__all__ = [
    "Database",
    "Row",
    "Unit",
    "any_found",
    "any_of",
    "each_of",
    "folder_beside",
    "open_beside",
    "open_database",
    "remove_beside",
]
