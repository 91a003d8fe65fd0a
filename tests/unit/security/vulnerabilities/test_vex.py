"""VEX: what we write is well-formed and comes back exactly; what others write is understood and never made wider."""

from __future__ import annotations

import re
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packhouse.core.clock import SECOND, from_iso
from packhouse.core.errors import PackhouseError
from packhouse.security.vulnerabilities.statements import File, Judged, Statement, check
from packhouse.security.vulnerabilities.vex import MAX_BYTES, Form, Imported, export_vex, import_vex
from packhouse.security.vulnerabilities.vex import model as limits

FORMS: tuple[Form, ...] = get_args(Form)
NOW = from_iso("2026-11-21T12:00:00Z")
AT = NOW - 5
ONE, TWO = "1" * 64, "2" * 64
FILES = [
    File("1.21.0", "py39_0", 0, ONE, "linux-64"),
    File("1.21.0", "py39_0", 0, TWO, "win-64"),
    File("1!2.0+cu", "py310_0", 0, "", "noarch"),
]
KNOWN = {("conda", "numpy"): FILES}


def say(status: Judged = "cleared", **more: Any) -> Statement:
    return Statement("CVE-2024-1", "conda", "numpy", status, **{"author": "alice", "at": AT, **more})


def written(statements: list[Statement], form: Form, **more: Any) -> Any:
    return msgspec.json.decode(export_vex(statements, more.pop("files", KNOWN), form, author="us", now=NOW, **more))


def read(document: Any, origin: str = "user") -> Imported:
    data = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return import_vex(data, origin=origin, now=NOW)


def openvex(*statements: Any, **more: Any) -> dict[str, Any]:
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://x.example/1", "author": "Them", "version": 1}
    return {**head, "timestamp": "2026-01-02T03:04:05.647787998-06:00", "statements": list(statements), **more}


def theirs(purl: str, status: str = "not_affected", **more: Any) -> dict[str, Any]:
    return {"vulnerability": {"name": "CVE-2024-1"}, "products": [{"@id": purl}], "status": status, **more}


def cyclonedx(purl: str, state: str = "not_affected", **affects: Any) -> dict[str, Any]:
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {"timestamp": "2026-01-02T03:04:05Z", "authors": [{"name": "Them"}]},
        "components": [{"type": "library", "name": "numpy", "bom-ref": "a", "purl": purl}],
        "vulnerabilities": [{"id": "CVE-2024-1", "analysis": {"state": state}, "affects": [{"ref": "a", **affects}]}],
    }


# what we write


def check_openvex(document: dict[str, Any]) -> None:
    """Hold a document against the fields of the OpenVEX 0.2.0 schema, which allows no others."""
    assert document.keys() == {"@context", "@id", "author", "timestamp", "version", "statements"}
    assert document["@context"] == "https://openvex.dev/ns/v0.2.0" and document["version"] >= 1
    names = [one["@id"] for one in document["statements"]]
    assert names and len(set(names)) == len(names)
    allowed = {
        "@id", "vulnerability", "timestamp", "products", "status", "status_notes", "impact_statement",
        "action_statement",
    }  # fmt: skip
    for one in document["statements"]:
        assert one.keys() <= allowed and one.keys() >= {"vulnerability", "status", "products", "timestamp"}
        assert re.fullmatch(r"[A-Za-z0-9:._~%?=&-]+", one["@id"]), "an IRI, so nothing else unescaped"
        assert one["status"] in ("not_affected", "affected", "fixed", "under_investigation")
        assert ("impact_statement" in one) == (one["status"] == "not_affected")
        assert ("action_statement" in one) == (one["status"] == "affected")
        assert one["vulnerability"].keys() <= {"name", "aliases"} and one["vulnerability"]["name"]
        assert one["products"]
        for product in one["products"]:
            assert product.keys() <= {"@id", "identifiers", "hashes"} and product["@id"].startswith("pkg:")


def check_cyclonedx(document: dict[str, Any]) -> None:
    """Hold a document against the fields of CycloneDX 1.6 that VEX needs; references lead somewhere."""
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert UUID(document["serialNumber"].removeprefix("urn:uuid:"))
    references = [one["bom-ref"] for one in document["components"]]
    assert len(set(references)) == len(references)
    for component in document["components"]:
        assert component["type"] == "library" and component["name"] and component["purl"].startswith("pkg:")
    states = {"resolved", "exploitable", "in_triage", "not_affected"}
    allowed = {"bom-ref", "id", "references", "analysis", "affects", "properties"}
    for one in document["vulnerabilities"]:
        assert one.keys() <= allowed and one["id"] and one["analysis"]["state"] in states
        assert one["analysis"].keys() <= {"state", "detail", "firstIssued", "lastUpdated"}
        assert one["affects"] and all(affects["ref"] in references for affects in one["affects"])
        assert all(said.keys() == {"name", "value"} for said in one["properties"])


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
_LINE = st.text(st.characters(codec="utf-8"), max_size=40).filter(str.isprintable)
_ABOUT = st.one_of(
    st.tuples(st.sampled_from(["", ">=1,<2", "1.21.* py39_*", "==1.21.0 py39_0[subdir=win-64]"]), st.just("")),
    st.tuples(st.just(""), st.sampled_from([ONE, TWO, "3" * 64])),
)
_STATEMENTS = st.builds(
    lambda cve, name, status, about, note, author, at: Statement(
        cve, "conda", name, status, about[0], about[1], note, author, at, "user"
    ),
    st.one_of(st.sampled_from(["CVE-2024-1", "GHSA-aaaa-bbbb-cccc"]), _LINE.filter(lambda text: bool(text.strip()))),
    st.sampled_from(["numpy", "_libgcc_mutex", "r-data.table"]),
    st.sampled_from(get_args(Judged)),
    _ABOUT,
    _TEXT,
    _LINE,
    st.integers(0, NOW),
)


@pytest.mark.parametrize("form", FORMS)
@given(statements=st.lists(_STATEMENTS, min_size=1, max_size=6))
@example([say("active", spec=">=1"), say("cleared", sha256=ONE), say("disputed", note="a\nb"), say("mitigated")])
def test_what_we_write_is_well_formed_and_comes_back_exactly(form: Form, statements: list[Statement]) -> None:
    document = written(statements, form, aliases={"CVE-2024-1": ["GHSA-aaaa-bbbb-cccc", "PYSEC-1"]})
    (check_openvex if form == "openvex" else check_cyclonedx)(document)
    found = read(document)
    assert found.form == form and found.skipped == []
    assert set(found.statements) == {check(one) for one in statements}


@pytest.mark.parametrize("form", FORMS)
def test_origin_is_what_the_importer_says_and_no_time_lies_ahead(form: Form) -> None:
    document = written([say(origin="user", at=NOW + 9 * SECOND)], form)
    (one,) = read(document, origin="feed:partner").statements
    assert (one.origin, one.at) == ("feed:partner", NOW)


def purls(document: Any, status: str) -> set[str]:
    """Return the products of the statements of one OpenVEX status."""
    return {p["@id"] for one in document["statements"] if one["status"] == status for p in one["products"]}


LINUX, WIN = (f"pkg:conda/numpy@1.21.0?build=py39_0&subdir={subdir}" for subdir in ("linux-64", "win-64"))
NOARCH = "pkg:conda/numpy@1%212.0%2Bcu?build=py310_0&subdir=noarch"


def test_products_are_the_files_a_statement_decides_about() -> None:
    feed, mine = say("active", origin="feed:main", at=AT + 1), say(spec="==1.21.0")
    document = written([feed, mine, say("mitigated", sha256=TWO)], "openvex")
    assert purls(document, "affected") == {NOARCH}
    assert purls(document, "not_affected") == {LINUX}
    assert purls(document, "fixed") == {WIN}


def test_a_statement_that_decides_about_nothing_names_nothing_that_a_stranger_would_find() -> None:
    document = written([say(spec=">=9!0"), say("active", sha256="3" * 64)], "openvex")
    assert purls(document, "not_affected") == {"pkg:conda/numpy?spec=%3E%3D9%210"}
    assert purls(document, "affected") == {f"pkg:conda/numpy?checksum=sha256:{'3' * 64}"}
    document["statements"] = [{**one, "@id": "https://x.example/1"} for one in document["statements"]]
    found = read(document)
    assert [one.sha256 for one in found.statements] == ["3" * 64]
    assert "'spec'" in found.skipped[0].reason


def test_what_is_about_every_version_says_so_when_no_file_is_known() -> None:
    assert purls(written([say()], "openvex", files={}), "not_affected") == {"pkg:conda/numpy"}


def test_the_same_statements_give_the_same_bytes() -> None:
    both = [say(), say("active", sha256=ONE)]
    for form in FORMS:
        first = export_vex(both, KNOWN, form, author="us", now=NOW)
        assert first == export_vex(both[::-1], KNOWN, form, author="us", now=NOW)


def test_nothing_is_no_openvex_document() -> None:
    with pytest.raises(PackhouseError) as caught:
        written([], "openvex")
    assert caught.value.code == "not_found"
    assert written([], "cyclonedx")["vulnerabilities"] == []


# what others write


@pytest.mark.parametrize(
    ("purl", "spec"),
    [
        ("pkg:conda/numpy", ""),
        ("pkg:conda/NumPy@1.21.0", "==1.21.0"),
        ("pkg:conda/numpy@1.21.0?build=py39_0&channel=main&type=conda", "==1.21.0 py39_0"),
        (LINUX, '==1.21.0 py39_0[subdir="linux-64"]'),
        ("pkg:conda/numpy@1.21.0?subdir=win-64", '==1.21.0 *[subdir="win-64"]'),
        ("pkg:conda/numpy?build=py39_0", "* py39_0"),
        ("pkg:conda/numpy@1%212.0", "==1!2.0"),
    ],
)
def test_a_purl_means_files(purl: str, spec: str) -> None:
    for document in (openvex(theirs(purl)), cyclonedx(purl)):
        found = read(document)
        assert found.skipped == []
        assert [(one.name, one.status, one.spec) for one in found.statements] == [("numpy", "cleared", spec)]


@pytest.mark.parametrize(
    "purl",
    [
        "", "numpy", "pkg:conda/", "pkg:oci/numpy@1", "pkg:conda/conda-forge/numpy@1", "pkg:conda/num%20py@1",
        "pkg:conda/numpy@1.*", "pkg:conda/numpy@1?build=py*", "pkg:conda/numpy@1?build=^.*$",
        "pkg:conda/numpy@1?arch=x",
        'pkg:conda/numpy@1?subdir=a"', "pkg:conda/numpy@1#part", "pkg:conda/numpy?checksum=sha1:00",
        "pkg:conda/numpy?checksum=sha256:00", "pkg:conda/numpy@" + "1" * 5000, "pkg:conda/numpy@1%00", "pkg:conda/%ff",
    ],
)  # fmt: skip
def test_a_purl_that_cannot_be_honoured_is_passed_over_with_a_reason(purl: str) -> None:
    for document in (openvex(theirs(purl)), cyclonedx(purl)):
        found = read(document)
        assert found.statements == [] and len(found.skipped) == 1
        assert found.skipped[0].reason and found.skipped[0].where.startswith(("statements[0]", "vulnerabilities[0]"))


def test_a_family_of_tomorrow_is_passed_over_today(monkeypatch: pytest.MonkeyPatch) -> None:
    from packhouse.formats import registry

    document = openvex(theirs("pkg:pypi/Data_Frames@1.0"))
    monkeypatch.delitem(registry.FORMATS, "python", raising=False)
    assert "python" in read(document).skipped[0].reason
    monkeypatch.setitem(registry.FORMATS, "python", registry.FORMATS["conda"])
    (one,) = read(document).statements
    assert (one.family, one.name, one.spec) == ("python", "data-frames", "==1.0")
    assert read(written([one], "openvex", files={})).statements == [one]


@pytest.mark.parametrize(
    ("words", "status", "note"),
    [
        ({"status": "affected", "action_statement": "Update"}, "active", "Update"),
        ({"status": "fixed", "status_notes": "0001.patch"}, "mitigated", "0001.patch"),
        (
            {"status": "not_affected", "justification": "component_not_present", "impact_statement": "gone"},
            "cleared",
            "component_not_present\ngone",
        ),
        (
            {"status": "not_affected", "justification": "inline_mitigations_already_exist"},
            "mitigated",
            "inline_mitigations_already_exist",
        ),
    ],
)
def test_what_openvex_says(words: dict[str, str], status: str, note: str) -> None:
    (one,) = read(openvex(theirs("pkg:conda/numpy@1", **words))).statements
    assert (one.status, one.note, one.author) == (status, note, "Them")
    assert one.at == from_iso("2026-01-02T09:04:05.647787Z")


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("exploitable", "active"),
        ("not_affected", "cleared"),
        ("false_positive", "cleared"),
        ("resolved", "mitigated"),
        ("resolved_with_pedigree", "mitigated"),
    ],
)
def test_what_cyclonedx_says(state: str, status: str) -> None:
    (one,) = read(cyclonedx("pkg:conda/numpy@1", state)).statements
    assert (one.status, one.author, one.at) == (status, "Them", from_iso("2026-01-02T03:04:05Z"))


def test_an_investigation_is_no_judgement() -> None:
    documents = openvex(theirs("pkg:conda/numpy", "under_investigation")), cyclonedx("pkg:conda/numpy", "in_triage")
    for document in documents:
        found = read(document)
        assert found.statements == [] and "under investigation" in found.skipped[0].reason


@pytest.mark.parametrize(
    ("range_", "spec"),
    [
        ("vers:conda/*", ""),
        ("vers:conda/>=1.0|<2", ">=1.0,<2"),
        ("vers:conda/0.9|>=1|<2|!=1.5|>3", "==0.9|>=1,<2,!=1.5|>3,!=1.5"),
        ("vers:conda/<=1%212", "<=1!2"),
        ("vers:conda/!=1|!=2", "!=1,!=2"),
    ],
)
def test_version_ranges_of_cyclonedx(range_: str, spec: str) -> None:
    found = read(cyclonedx("pkg:conda/numpy", versions=[{"range": range_}, {"version": "7"}]))
    assert [one.spec for one in found.statements] == [spec, "==7"] and found.skipped == []


@pytest.mark.parametrize(
    "range_", ["vers:pypi/1", "vers:conda/", "1.0", "vers:conda/>1|>2", "vers:conda/>=", "vers:conda/1.*"]
)
def test_a_range_that_cannot_be_read_is_passed_over(range_: str) -> None:
    found = read(cyclonedx("pkg:conda/numpy", versions=[{"range": range_}]))
    assert found.statements == [] and len(found.skipped) == 1


def test_versions_said_to_be_unaffected_are_not_taken_for_affected() -> None:
    document = cyclonedx("pkg:conda/numpy", "exploitable", versions=[{"version": "1", "status": "unaffected"}])
    assert read(document).statements == []


def test_a_version_beside_the_purl_counts() -> None:
    document = cyclonedx("pkg:conda/numpy")
    document["components"][0]["version"] = "1.2"
    assert [one.spec for one in read(document).statements] == ["==1.2"]


def test_references_into_another_document_are_followed_by_their_purl() -> None:
    document = cyclonedx("")
    document["components"] = []
    for reference in ("urn:cdx:f08a6ccd-4dce-4759-bd84-c626675d60a7/1#pkg%3Aconda%2Fnumpy%401", "pkg:conda/numpy@1"):
        document["vulnerabilities"][0]["affects"] = [{"ref": reference}]
        assert [one.spec for one in read(document).statements] == ["==1"]


def test_a_hash_means_one_file() -> None:
    product = {"identifiers": {"purl": LINUX}, "hashes": {"sha-256": ONE.upper()}}
    (one,) = read(openvex(theirs("", products=[product]))).statements
    assert (one.spec, one.sha256) == ("", ONE)


def test_the_cve_is_preferred_to_other_names() -> None:
    named = {"name": "GHSA-x", "aliases": ["CVE-2024-9", "DSA-1"]}
    assert [
        one.vulnerability for one in read(openvex(theirs("pkg:conda/numpy@1", vulnerability=named))).statements
    ] == ["CVE-2024-9"]


# what was changed after we wrote it, and what is meant to hurt


def test_a_document_that_somebody_edited_is_read_by_its_standard_words() -> None:
    document = written([say("disputed", spec=">=1.21")], "openvex")
    changed = document["statements"][0]
    changed["status"] = "fixed"
    assert {(one.status, one.sha256 or one.spec) for one in read(document).statements} == {
        ("mitigated", ONE),
        ("mitigated", TWO),
        ("mitigated", '==1!2.0+cu py310_0[subdir="noarch"]'),
    }
    changed["status"] = "under_investigation"
    changed["products"].append({"@id": "pkg:conda/openssl@1"})
    assert read(document).statements == [], "it is no longer about the one package our words were about"


def test_one_bad_statement_does_not_spoil_the_others() -> None:
    bad: list[Any] = [
        7, {}, {**theirs("pkg:conda/numpy@1"), "status": "fine"}, theirs("pkg:conda/numpy@1", timestamp="yesterday"),
        theirs("pkg:conda/numpy@1", products=[]), theirs("pkg:conda/numpy@1", vulnerability="CVE-2024-1"),
        theirs("pkg:conda/numpy@1", vulnerability={"name": "a\nb"}), theirs("pkg:conda/numpy@1", status_notes="a\0b"),
        theirs("pkg:conda/numpy@1", timestamp="9" * 400), theirs("pkg:conda/numpy@1", products=[7]),
    ]  # fmt: skip
    found = read(openvex(*bad, theirs("pkg:conda/numpy@2")))
    assert [one.spec for one in found.statements] == ["==2"]
    assert len({skipped.where.split(".")[0] for skipped in found.skipped}) == len(bad)


@pytest.mark.parametrize("form", FORMS)
def test_a_spec_that_could_select_nothing_is_passed_over_with_a_reason(form: Form) -> None:
    found = read(written([say(spec="1.0 0 junk"), say("active", spec="1.0 0")], form, files={}))
    assert [one.spec for one in found.statements] == ["1.0 0"]
    assert ["build '0 junk'" in one.reason for one in found.skipped] == [True]


@pytest.mark.parametrize(
    "document",
    [
        b"", b"[]", b"\xff", b"{}", b"[" * 100_000, b'{"@context":' + b"[" * 100_000, b'{"@context":1}',
        b'{"@context":"x"}',
        b'{"@context":"https://openvex.dev/ns/v9","statements":[]}', b'{"bomFormat":"SPDX"}',
        b'{"bomFormat":"CycloneDX","specVersion":"0.9"}', b'{"@context":"https://openvex.dev/ns/v0.2.0"}',
        b'{"bomFormat":"CycloneDX","specVersion":"1.6","vulnerabilities":{}}',
    ],
)  # fmt: skip
def test_what_is_no_vex_document_is_refused(document: bytes) -> None:
    with pytest.raises(PackhouseError) as caught:
        read(document)
    assert caught.value.code == "bad_request" and caught.value.hint


def test_nesting_inside_a_statement_spoils_only_that() -> None:
    deep = b"[" * 500 + b"]" * 500
    good = msgspec.json.encode(openvex(theirs("pkg:conda/numpy@1", supplier="HERE"))).replace(b'"HERE"', deep)
    assert len(read(good).statements) + len(read(good).skipped) == 1


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STATEMENTS", 10)
    many = [{"@id": f"pkg:conda/numpy@{number}"} for number in range(11)]
    for document in (openvex(theirs("", products=many)), openvex(*[7] * 11), b" " * (MAX_BYTES + 1)):
        with pytest.raises(PackhouseError) as caught:
            read(document)
        assert caught.value.code == "too_large"


_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.sampled_from(["pkg:conda/numpy@1", "a"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["@id", "name", "products", "hashes", "ref", "state", "purl"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(["statements", "vulnerabilities", "components", "metadata", "author"]), st.booleans())
def test_no_document_makes_the_reader_fail(value: Any, place: str, listed: bool) -> None:
    for document in (openvex(theirs("pkg:conda/numpy@1")), cyclonedx("pkg:conda/numpy@1")):
        document[place] = [value] if listed else value
        try:
            for one in read(document).statements:
                check(one)
        except PackhouseError as error:
            assert error.code == "bad_request"
