"""Write the next Alembic migration from what the tables say now: `scripts/migration.py "what changes"`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

import packhouse.catalog.judgement_tables
import packhouse.catalog.mirrors.pages
import packhouse.catalog.notifications.tables
import packhouse.catalog.people_tables
import packhouse.catalog.schema
import packhouse.catalog.sign_in_tables
import packhouse.catalog.signing.tables
import packhouse.core.jobs.tables  # noqa: F401  # registers its tables
from packhouse.core.db.migrating import FOLDER, config, engine_for


def main(message: str) -> None:
    """Upgrade an empty database to the newest migration and compare it with the tables."""
    known = sorted((FOLDER / "versions").glob("[0-9]*.py"))
    with tempfile.TemporaryDirectory() as folder:
        engine = engine_for(f"sqlite:///{Path(folder) / 'empty.db'}")
        with engine.connect() as connection:
            settings = config()
            settings.attributes["connection"] = connection
            if known:
                command.upgrade(settings, "head")
            command.revision(settings, message=message, autogenerate=True, rev_id=f"{len(known) + 1:04}")
        engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
