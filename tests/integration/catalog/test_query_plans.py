"""What is asked for each upload and each request is looked up, not searched for, at a million files too."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.catalog.packages import contents, entries, summaries
from packhouse.core.db.migrating import migrate
from packhouse.core.db.statements import Statement, compiled
from packhouse.workflows.indexing import store

#: statement → the columns by which each of its look-ups finds its rows
HOT: dict[str, tuple[Statement, list[str]]] = {
    "entry": (entries._FIND, ["channel_id", "family", "partition", "filename"]),
    "binding": (entries._BOUND, ["channel_id", "family", "partition", "filename"]),
    "record": (contents._RECORD_ID, ["name", "sha256"]),
    "rendered files": (store._ROWS, ["channel_id", "name", "partition"]),
    "files of a name": (store._VISIBLE, ["channel_id", "name"]),
    "part on the shelf": (store._OPEN, ["channel_id", "partition", "name"]),
    "closed part": (store._CLOSE, ["channel_id", "partition", "name"]),
    "package row": (summaries._DROP_OTHERS, ["channel_id", "name"]),
    "shard": (store._SHARD, ["shard_sha256"]),
    "shelf of a partition": (store._SHARDS, ["channel_id", "partition"]),
    "waiting names": (store._DIRTY, ["channel_id"]),
}


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("plans") / "packhouse.db"
    migrate(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


@pytest.mark.parametrize("what", HOT)
def test_rows_are_found_by_all_key_columns_and_nothing_is_sorted(catalogue: sqlite3.Connection, what: str) -> None:
    statement, columns = HOT[what]
    text, literals = compiled(statement, "sqlite")
    values = dict.fromkeys(re.findall(r":(\w+)", text), 1) | literals
    plan = [row[3] for row in catalogue.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    assert not [step for step in plan if step.startswith("SCAN") and "json_each" not in step], plan
    searched = " AND ".join(f"{column}=?" for column in columns)
    assert any(f"({searched}" in step for step in plan), plan
