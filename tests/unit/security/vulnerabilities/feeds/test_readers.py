"""What each kind of feed says is read as its publisher meant it, in whatever the file is packed."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from packhouse.core.clock import from_iso
from packhouse.formats.archives.zstandard import zstd3
from packhouse.security.vulnerabilities.advisory import Advisory, Affected, Event, Said
from packhouse.security.vulnerabilities.feeds import Skipped, read, survey

RECORDS = Path(__file__).parent / "records"
OSV_LINES = (RECORDS / "osv.jsonl").read_bytes()


def advisories(path: Path, kind: str | None = None) -> dict[str, Advisory]:
    """Return the advisories of a feed in which nothing is passed over."""
    found = list(read(path, kind))
    assert [one for one in found if isinstance(one, Skipped)] == []
    return {one.id: one for one in found if isinstance(one, Advisory)}


def written(folder: Path, data: Any, name: str = "feed.json") -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return path


def only(path: Path, kind: str | None = None) -> Advisory:
    (one,) = advisories(path, kind).values()
    return one


class TestOsv:
    def test_a_record_of_pypi(self) -> None:
        flask = advisories(RECORDS / "osv.jsonl", "osv")["PYSEC-2018-66"]
        assert flask.keys == ("CVE-2018-1000656",)
        assert flask.aliases == ("CVE-2018-1000656", "GHSA-562c-5r94-xh97")
        assert flask.published_at == from_iso("2018-08-20T19:31:00Z")
        assert flask.modified_at == from_iso("2021-08-25T04:30:09.712538Z")
        (affected,) = flask.affected
        assert (affected.ecosystem, affected.name) == ("PyPI", "flask")
        assert affected.ranges == ((Event("introduced", "0"), Event("fixed", "0.12.3")),)
        assert "0.12.2" in affected.versions and len(affected.versions) == 23
        assert len(flask.references) == 6 and flask.description.startswith("The Pallets Project")

    def test_ranges_of_commits_are_left_out(self) -> None:
        (affected,) = advisories(RECORDS / "osv.jsonl")["PYSEC-2023-221"].affected
        events = [(event.kind, event.version) for event in affected.ranges[0]]
        assert len(affected.ranges) == 1
        assert events == [("introduced", "0"), ("fixed", "2.3.8"), ("introduced", "3.0.0"), ("fixed", "3.0.1")]

    def test_withdrawn_and_rated(self) -> None:
        withdrawn = advisories(RECORDS / "osv.jsonl")["PYSEC-2022-43055"]
        assert withdrawn.withdrawn_at == from_iso("2023-08-22T06:18:00Z")
        assert [(one.version, one.score) for one in withdrawn.vectors] == [("3.1", 75)]

    def test_a_comma_in_a_list_of_aliases_makes_no_second_name(self) -> None:
        assert advisories(RECORDS / "osv.jsonl")["PYSEC-2022-184"].aliases == ("CVE-2022-1053", "GHSA-jf66-3q76-h5p5")

    def test_upstream_is_an_alias(self) -> None:
        assert advisories(RECORDS / "osv.jsonl")["RSEC-2026-0"].keys == ("CVE-2018-1000086",)

    def test_a_rating_beside_the_package_counts(self) -> None:
        (vector,) = advisories(RECORDS / "osv.jsonl")["BIT-joomla-2026-25900"].vectors
        assert vector.version == "4.0" and 0 < vector.score <= 100

    @pytest.mark.parametrize(
        "more",
        [
            {"id": "MAL-2024-1"},
            {"id": "GHSA-1", "aliases": ["MAL-2024-1"]},
            {"id": "GHSA-1", "database_specific": {"malicious-packages-origins": [{"source": "x"}]}},
        ],
    )
    def test_malware(self, tmp_path: Path, more: dict[str, Any]) -> None:
        assert only(written(tmp_path, {"modified": "2024-01-01T00:00:00Z", **more})).kind == "malware"

    def test_other_things_in_database_specific_are_no_malware(self, tmp_path: Path) -> None:
        given = {"id": "GHSA-1", "modified": "2024-01-01", "database_specific": {"malicious-packages-origins": "none"}}
        assert only(written(tmp_path, given)).kind == "vulnerability"

    def test_names_as_their_ecosystems_compare_them(self, tmp_path: Path) -> None:
        packages = [{"ecosystem": "PyPI", "name": "Foo_.Bar"}, {"ecosystem": "CRAN", "name": "Data.Table"}]
        given = {"id": "X-1", "affected": [{"package": one} for one in packages]}
        names = [(one.ecosystem, one.name) for one in only(written(tmp_path, given)).affected]
        assert names == [("PyPI", "foo-bar"), ("CRAN", "data.table")]

    def test_what_is_null_is_missing(self, tmp_path: Path) -> None:
        given = {"id": "X-1", "modified": "2024-01-01", "affected": None, "aliases": None, "references": None}
        assert only(written(tmp_path, given)).affected == ()


class TestNvd:
    def test_a_record(self) -> None:
        log4j = advisories(RECORDS / "nvd.json")["CVE-2021-44228"]
        assert [(one.version, one.score, one.source) for one in log4j.vectors] == [
            ("3.1", 100, "nvd@nist.gov"),
            ("2.0", 93, "nvd@nist.gov"),
        ]
        assert log4j.known_exploited
        assert log4j.description.startswith("JNDI") and log4j.description.endswith("}]")
        assert log4j.published_at == from_iso("2021-12-10T10:15:09.143Z")
        assert log4j.references == ("https://logging.apache.org/log4j/2.x/security.html",)
        assert log4j.affected == (
            Affected(
                "CPE",
                "apache:log4j",
                (
                    (Event("introduced", "2.4.0"), Event("fixed", "2.12.2")),
                    (Event("introduced", "2.13.0"), Event("last_affected", "2.14.1")),
                ),
                ("2.0beta9",),
            ),
            Affected("CPE", "acme:r:os!", ((Event("introduced", "0"),),)),
        )

    def test_rejected_is_withdrawn(self) -> None:
        found = advisories(RECORDS / "nvd.json", "nvd")
        assert found["CVE-2026-0001"].withdrawn_at == from_iso("2026-01-02T00:00:00Z")
        assert found["CVE-2021-44228"].withdrawn_at is None

    def test_a_score_without_a_vector_is_taken_as_given(self, tmp_path: Path) -> None:
        metric = {"cvssData": {"version": "3.0", "baseScore": 7.3}, "source": "nvd"}
        given = {"vulnerabilities": [{"cve": {"id": "CVE-2026-1", "metrics": {"cvssMetricV30": [metric]}}}]}
        (vector,) = only(written(tmp_path, given)).vectors
        assert (vector.version, vector.vector, vector.score) == ("3.0", "", 73)


def test_what_is_known_to_be_exploited() -> None:
    one = only(RECORDS / "kev.json")
    assert (one.id, one.known_exploited, one.modified_at) == ("CVE-2021-44228", True, from_iso("2021-12-10"))


class TestCurated:
    def test_rows_of_one_id_are_one_advisory(self) -> None:
        first = advisories(RECORDS / "curated.csv")["CVE-2024-0001"]
        assert first.said == (
            Said("conda", "numpy", ">=1.2,<2 py39_*", "cleared", "not reachable"),
            Said("conda", "numpy", "==1.3 py310_0", "active"),
        )
        assert first.description == 'A "quoted" text;\nof two lines'
        assert [(one.version, one.score) for one in first.vectors] == [("3.1", 98), ("2.0", 75)]
        assert first.modified_at == from_iso("2024-03-01")
        assert first.published_at == from_iso("2024-01-02")

    def test_one_file_and_a_score(self) -> None:
        second = advisories(RECORDS / "curated.csv", "curated")["CVE-2024-0002"]
        assert second.said == (Said("python", "flask-login", "", "mitigated", "patched", "a" * 64),)
        assert [(one.vector, one.score) for one in second.vectors] == [("", 75)]

    def test_json(self) -> None:
        found = advisories(RECORDS / "curated.json")
        assert list(found) == ["CVE-2024-0003", "CVE-2024-0004"]
        one = found["CVE-2024-0003"]
        assert (one.kind, one.known_exploited, one.said[0].status) == ("malware", True, "active")
        assert one.aliases == ("GHSA-aaaa-bbbb-cccc",) and one.references == ("https://example.org/3",)

    @pytest.mark.parametrize("score", ["1_0", "high", "nan", "11", "-1"])
    def test_what_is_no_score_is_left_out_with_a_note(self, tmp_path: Path, score: str) -> None:
        given = {"id": "CVE-2024-1", "package": "numpy", "status": "active", "score": score}
        note, advisory = read(written(tmp_path, given))
        assert isinstance(advisory, Advisory) and advisory.vectors == ()
        assert isinstance(note, Skipped) and f"score '{score}' was left out" in note.reason

    def test_a_score_is_computed_from_its_vector(self) -> None:
        ratings = [(one.score, one.source) for one in advisories(RECORDS / "curated.json")["CVE-2024-0004"].vectors]
        assert ratings == [(98, "pysec,bitnami"), (43, "vendor")]

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ({"status": "fine"}, "status"),
            ({"sha256": "12"}, "64 hexadecimal"),
            ({"sha265": "12"}, "unknown field"),
            ({"spec": ">=1", "version": "1"}, "only one of them"),
            ({"package": ""}, "names no package"),
            ({"family": "../conda"}, "family"),
            ({"kind": "bug"}, "kind"),
        ],
    )
    def test_what_would_be_wider_than_meant_is_refused(self, tmp_path: Path, more: dict[str, str], reason: str) -> None:
        given = {"id": "CVE-2024-1", "package": "numpy", "status": "cleared", **more}
        (one,) = read(written(tmp_path, given))
        assert isinstance(one, Skipped) and reason in one.reason


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("folder/", b"")
        for name, data in members.items():
            writer.writestr(name, data)
    return out.getvalue()


_MEMBERS = {f"{json.loads(line)['id']}.json": line for line in OSV_LINES.splitlines()}
_LIST = b"[" + b",\n".join(OSV_LINES.splitlines()) + b"]"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("lines.jsonl", OSV_LINES),
        ("no-last-newline.jsonl", OSV_LINES.rstrip()),
        ("windows.jsonl", b"\xef\xbb\xbf" + OSV_LINES.replace(b"\n", b"\r\n")),
        ("lines.jsonl.zst", zstd3(OSV_LINES)),
        ("parallel.jsonl.zst", zstd3(OSV_LINES[:5000]) + zstd3(OSV_LINES[5000:])),
        ("lines.jsonl.gz", gzip.compress(OSV_LINES)),
        ("two-streams.gz", gzip.compress(OSV_LINES[:500]) + gzip.compress(OSV_LINES[500:])),
        ("list.json", _LIST),
        ("list-in-an-object.json", b'{"vulns": ' + _LIST + b"}\n"),
        ("all.zip", _zip(_MEMBERS)),
        ("with-others.zip", _zip({"README.md": b"Hello", **_MEMBERS})),
        ("lines-in-a.zip", _zip({"all.jsonl": OSV_LINES})),
        ("named-otherwise", zstd3(_LIST)),
    ],
)
def test_a_feed_says_the_same_in_whatever_it_comes(tmp_path: Path, name: str, data: bytes) -> None:
    assert advisories(written(tmp_path, data, name)) == advisories(RECORDS / "osv.jsonl")


@pytest.mark.parametrize("name", ["nvd.json", "kev.json", "curated.json"])
@pytest.mark.parametrize("padding", [0, 5_000_000])
def test_a_document_is_cut_up_alike_small_and_large(tmp_path: Path, name: str, padding: int) -> None:
    text = (RECORDS / name).read_text()
    large = text.replace("[", " " * padding + "[", 1).replace("{", '{"some": ["text ]}{[ \\" "], ', 1)
    assert advisories(written(tmp_path, large.encode())) == advisories(RECORDS / name)


def test_the_first_of_two_records_of_one_id_counts(tmp_path: Path) -> None:
    lines = [json.dumps({"id": "X-1", "modified": "2024-01-01", "details": text}) for text in ("first", "second")]
    first, second = read(written(tmp_path, "\n".join(lines).encode()))
    assert isinstance(first, Advisory) and first.description == "first"
    assert second == Skipped("line 2 (X-1)", "The file has another record of this id before it.")


def test_long_texts_are_cut_with_a_mark(tmp_path: Path) -> None:
    one = only(written(tmp_path, {"id": "X-1", "details": "é" * 100_000}))
    assert one.description == "é" * 65_536 + "\n[… 34,464 more characters]"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of feed"):
        read(RECORDS / "osv.jsonl", "csaf")


def test_a_folder_is_searched_for_feeds(tmp_path: Path) -> None:
    inside = tmp_path / "disk" / "2026"
    inside.mkdir(parents=True)
    for name in ("nvd.json", "kev.json", "curated.csv", "curated.json"):
        written(inside, (RECORDS / name).read_bytes(), name)
    written(tmp_path, _zip(_MEMBERS), "PyPI-all.zip")
    written(tmp_path, zstd3(OSV_LINES), "osv.jsonl.zst")
    for name, data in {
        "repodata.json": b'{"packages": {}, "packages.conda": {}}',
        "people.csv": b"name,age\nx,1\n",
        ".osv.jsonl": OSV_LINES,
        "osv.jsonl.part": OSV_LINES,
        "numpy-1.0-0.conda": b"PK",
    }.items():
        written(tmp_path, data, name)
    written(tmp_path, zstd3(OSV_LINES)[:-9], "torn.jsonl.zst")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [(str(path.relative_to(tmp_path)), kind) for path, kind in survey(tmp_path)] == [
        ("PyPI-all.zip", "osv"),
        ("disk/2026/curated.csv", "curated"),
        ("disk/2026/curated.json", "curated"),
        ("disk/2026/kev.json", "kev"),
        ("disk/2026/nvd.json", "nvd"),
        ("osv.jsonl.zst", "osv"),
        ("torn.jsonl.zst", None),
    ]
