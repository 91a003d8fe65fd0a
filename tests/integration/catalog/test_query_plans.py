"""What is asked for each upload and each request is looked up, not searched for, at a million files too."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from packhouse.catalog.accounts import people
from packhouse.catalog.audit import store as audit
from packhouse.catalog.identities import federated
from packhouse.catalog.logins import logins
from packhouse.catalog.packages import contents, entries, listing, needs, summaries
from packhouse.catalog.policies import hidden, suspects, verdicts
from packhouse.catalog.rights import visibility
from packhouse.catalog.rights.principal import ANONYMOUS
from packhouse.catalog.rights.visibility import viewer
from packhouse.catalog.vulnerabilities import affected
from packhouse.core.db.migrating import migrate
from packhouse.core.db.statements import Statement, compiled
from packhouse.workflows.indexing import store
from packhouse.workflows.judging import store as judging
from tests.kit.services import Postgres

#: statement → the columns by which each of its look-ups finds its rows
HOT: dict[str, tuple[Statement, list[str]]] = {
    "entry": (entries._FIND, ["channel_id", "family", "partition", "filename"]),
    "binding": (entries._BOUND, ["channel_id", "family", "partition", "filename"]),
    "record": (contents._RECORD_ID, ["name", "sha256"]),
    "records of versions": (verdicts._RECORDS_OF_VERSIONS, ["name", "version"]),
    "files of versions": (verdicts._HIDE_VERSIONS, ["record_id"]),
    "names with uploads": (judging._OWN, ["channel_id", "name"]),
    "names with uploads and other files": (suspects._SHARED_AMONG, ["channel_id", "name"]),
    "rendered files": (store._ROWS, ["channel_id", "name", "partition"]),
    "files of a name": (store._FILES, ["channel_id", "name"]),
    "part on the shelf": (store._SHOWN, ["channel_id", "partition", "name"]),
    "closed part": (store._CLOSE, ["channel_id", "partition", "name"]),
    "package rows": (summaries._THERE, ["channel_id", "name"]),
    "dependants": (needs._COUNT, ["channel_id", "family", "needed"]),
    "shard": (store._SHARD, ["shard_sha256"]),
    "shelf of a partition": (store._SHARDS, ["channel_id", "partition"]),
    "waiting names": (store._DIRTY, ["channel_id"]),
    "rows that wait": (store._DIRTY_OF, ["channel_id", "name"]),
    "names that wait": (store._NAMES_WAITING, ["channel_id"]),
    "files of one vulnerability": (affected._rows(frozenset({"viewer_id", "hidden", "ids"}), "package"), ["name"]),
    "findings of a package": (affected._rows(frozenset({"channel_id", "package"}), "package"), ["channel_id", "name"]),
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
    plan = _plan(catalogue, statement)
    assert not [step for step in plan if step.startswith("SCAN") and "VIRTUAL TABLE" not in step], plan
    searched = " AND ".join(f"{column}=?" for column in columns)
    assert any(f"({searched}" in step for step in plan), plan


def test_levels_on_a_page_of_channels_are_not_asked_of_every_group(catalogue: sqlite3.Connection) -> None:
    plan = _plan(catalogue, visibility._LEVELS)
    assert any("SEARCH group_grant USING" in step and "(channel_id=?)" in step for step in plan), plan
    assert any("SEARCH group_member USING" in step and "(group_id=? AND account_id=?)" in step for step in plan), plan


@pytest.mark.parametrize("given", [{"actor"}, {"object"}, {"type"}, {"since"}, {"since", "until"}, {"type", "since"}])
def test_pages_of_events_are_read_in_order_and_counted_from_what_is_asked_for(
    catalogue: sqlite3.Connection, given: set[str]
) -> None:
    for statement in audit._chosen(frozenset(given)):
        plan = _plan(catalogue, statement)
        assert not [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step], plan


def test_logins_that_are_over_are_found_without_the_others(catalogue: sqlite3.Connection) -> None:
    plan = _plan(catalogue, logins._FORGET)
    assert not [step for step in plan if step.startswith("SCAN")], plan
    assert any("ix_login_ended_at (ended_at<?)" in step for step in plan), plan
    assert any("ix_login_expires_at (expires_at<?)" in step for step in plan), plan


def test_who_logs_in_costs_no_look_at_the_logins_that_are_over(catalogue: sqlite3.Connection) -> None:
    plan = _plan(catalogue, logins._TOO_MANY)
    assert "SEARCH login USING COVERING INDEX ix_login_live (account_id=? AND kind=?)" in plan or (
        "SEARCH login USING INDEX ix_login_live (account_id=? AND kind=?)" in plan
    ), plan


def test_logins_to_ask_about_are_read_in_order_from_those_that_are_live(catalogue: sqlite3.Connection) -> None:
    """Each second, and as many have ended as there were in a month."""
    plan = _plan(catalogue, federated._DUE)
    assert "SEARCH login USING INDEX ix_login_federated (provider_id=? AND checked_at<?)" in plan, plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan


def test_who_has_a_role_is_not_asked_of_every_group_of_every_account(catalogue: sqlite3.Connection) -> None:
    plan = _plan(catalogue, people._statements(frozenset())[1])
    assert not [step for step in plan if step.startswith("CORRELATED")], plan


def _plan(catalogue: sqlite3.Connection, statement: Statement) -> list[str]:
    text, literals = compiled(statement, "sqlite")
    values = dict.fromkeys(re.findall(r":(\w+)", text), 1) | literals
    return [row[3] for row in catalogue.execute(f"EXPLAIN QUERY PLAN {text}", values)]


def test_files_of_the_newest_version_are_not_searched_for_in_all_of_the_channel(catalogue: sqlite3.Connection) -> None:
    plan = _plan(catalogue, hidden._LATEST_IN)
    assert "SEARCH entry USING INTEGER PRIMARY KEY (rowid=?)" in plan, plan


def test_a_search_asks_its_index_before_there_are_statistics_too(postgres: Postgres, _postgres_template: str) -> None:
    name = postgres.database(_postgres_template)
    rows, _ = listing._package_statements("postgresql", frozenset({"viewer_id", "words"}), "")
    text, values = compiled(rows, "postgresql")
    asked = {"words": "'tool':*", "exact": "tool", "limit": 50, "offset": 0, **viewer(ANONYMOUS)}
    with psycopg.connect(postgres.url(name), autocommit=True) as connection:
        connection.execute("ALTER TABLE package SET (autovacuum_enabled = off)")
        connection.execute(_MANY)
        plan = connection.execute(f"EXPLAIN {text}", {**values, **asked}).fetchall()
    postgres.drop(name)
    assert any("ix_package_search" in row[0] for row in plan), plan


@pytest.mark.parametrize(
    "statement", [hidden._LATEST_IN, hidden._SHOWN_IN, hidden._OF_PACKAGE, hidden._AT, store._ROWS, entries._FIND]
)
def test_what_hides_a_file_is_looked_up_by_the_file_before_there_are_statistics_too(
    postgres: Postgres, _postgres_template: str, statement: Statement
) -> None:
    """Else each file of a package would ask all reasons of its channel: seconds for 10,000 files."""
    name = postgres.database(_postgres_template)
    text, values = compiled(statement, "postgresql")
    given = {one: 1 if one == "channel_id" else "x" for one in re.findall(r"%\((\w+)\)s", text)}
    given |= {one: ["x"] for one in given if f"ANY(%({one})s" in text.replace(" ", "")}
    with psycopg.connect(postgres.url(name), autocommit=True) as connection:
        connection.execute("ALTER TABLE overlay SET (autovacuum_enabled = off)")
        connection.execute(_REASONS)
        plan = connection.execute(f"EXPLAIN {text}", {**given, **values}).fetchall()
    postgres.drop(name)
    found = "\n".join(row[0] for row in plan)
    assert "overlay_pkey" in found and "ix_overlay_channel" not in found, found


def test_files_of_versions_are_looked_up_by_their_records_before_there_are_statistics_too(
    postgres: Postgres, _postgres_template: str
) -> None:
    """Else each of some thousand packages that a policy hides would be searched for in all there is."""
    name = postgres.database(_postgres_template)
    text, values = compiled(verdicts._HIDE_VERSIONS, "postgresql")
    asked = {
        "name": "lib-7",
        "versions": [str(one) for one in range(50)],
        "channels": [1],
        "family": "conda",
        "ruleset_id": 1,
    }
    with psycopg.connect(postgres.url(name), autocommit=True) as connection:
        for statement in _FILES:
            connection.execute(statement)
        plan = connection.execute(f"EXPLAIN {text}", {**asked, "rule": "cve", "since": 0, **values}).fetchall()
    postgres.drop(name)
    found = "\n".join(row[0] for row in plan)
    assert "ix_record_version" in found and "ix_entry_record_id" in found and "Seq Scan" not in found, found


@pytest.mark.parametrize("statement", [judging._OWN, suspects._SHARED_AMONG])
def test_uploads_are_looked_up_name_by_name_before_there_are_statistics_too(
    postgres: Postgres, _postgres_template: str, statement: Statement
) -> None:
    """Else every file of the channel would be looked at for each group of names that is judged."""
    name = postgres.database(_postgres_template)
    text, values = compiled(statement, "postgresql")
    asked = {"names": [f"lib-{one}" for one in range(50)], "channel_id": 1, "family": "conda"}
    with psycopg.connect(postgres.url(name), autocommit=True) as connection:
        for prepared in _FILES:
            connection.execute(prepared)
        plan = connection.execute(f"EXPLAIN {text}", {**asked, **values}).fetchall()
    postgres.drop(name)
    conditions = [row[0] for row in plan if "Index Cond" in row[0]]
    assert conditions and all("(name = " in one for one in conditions), plan
    assert not [row for row in plan if "Seq Scan" in row[0]], plan


_FILES = (
    "ALTER TABLE record SET (autovacuum_enabled = off)",
    "ALTER TABLE entry SET (autovacuum_enabled = off)",
    "ALTER TABLE content SET (autovacuum_enabled = off)",
    """INSERT INTO channel (path, description, privacy, owner_id, created_at, updated_at)
 VALUES ('pub', '', 'public', 1, 0, 0)""",
    """INSERT INTO record (sha256, name, version, build, build_number, license, license_family, signed)
 SELECT sha256(number::text::bytea), 'lib-' || number / 100, (number % 50)::text, '0', 0, '', '', FALSE
 FROM generate_series(1, 50000) AS number""",
    """INSERT INTO content (sha256, md5, size, facts, created_at) SELECT sha256, '', 1, '{}', 0 FROM record""",
    """INSERT INTO entry (channel_id, family, partition, name, filename, record_id, content_id, visible_at, event_id)
 SELECT channel.id, 'conda', 'noarch', name, record.id, record.id, content.id, 0, 0
 FROM channel, record JOIN content ON content.sha256 = record.sha256""",
)
_REASONS = """INSERT INTO overlay (channel_id, ruleset_id, record_id, content_id, rule, missing, since)
 SELECT 1, 1, number, 0, 'latest_only', '', 0 FROM generate_series(1, 5000) AS number"""
_MANY = """WITH pub AS (INSERT INTO channel (path, description, privacy, owner_id, created_at, updated_at)
 VALUES ('pub', '', 'public', 1, 0, 0) RETURNING id)
 INSERT INTO package (channel_id, family, name, file_count, download_count, latest_version, license, license_family,
 summary, platforms, overview, created_at, updated_at)
 SELECT pub.id, 'conda', 'package-' || number, 1, 0, '1', '', '', 'Synthetic package ' || number, 'noarch', '', 0, 0
 FROM pub, generate_series(1, 5000) AS number"""
