"""CEP 36, 15 and 38: repodata.json, current_repodata.json and channeldata.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from packhouse.formats.base import Coordinate, Facts
from packhouse.formats.conda.channeldata import assemble as assemble_channeldata
from packhouse.formats.conda.channeldata import overview
from packhouse.formats.conda.record import RecordColumns, canonical_json, columns
from packhouse.formats.conda.repodata import Fragment, assemble, current_files, render_fragments


def _columns(filename: str, depends: list[str] | None = None, **more: Any) -> RecordColumns:
    name, version, build = filename.removesuffix(".conda").removesuffix(".tar.bz2").rsplit("-", 2)
    number = int(build.rsplit("_", 1)[-1])
    record = {"name": name, "version": version, "build": build, "build_number": number, "depends": depends or []}
    return columns(filename, record | more)


class TestRepodata:
    def test_an_empty_channel_has_all_keys(self) -> None:
        assert json.loads(b"".join(assemble("noarch", []))) == {
            "info": {"subdir": "noarch"}, "packages": {}, "packages.conda": {}, "removed": [], "repodata_version": 1,
        }  # fmt: skip

    def test_base_url_makes_version_2(self) -> None:
        document = json.loads(b"".join(assemble("noarch", [], base_url="https://files.example/")))
        assert (document["info"]["base_url"], document["repodata_version"]) == ("https://files.example/", 2)

    def test_signatures_stand_apart_from_the_records(self) -> None:
        fragment = b'"demo-1.0-0.conda":{"key":{"signature":"00"}}'
        document = json.loads(b"".join(assemble("noarch", [], [b"", fragment, fragment.replace(b"1.0", b"2.0")])))
        assert sorted(document["signatures"]) == ["demo-1.0-0.conda", "demo-2.0-0.conda"]

    def test_names_that_need_escaping(self) -> None:
        fragment = render_fragments([('a"b\\ü.conda', b"{}", None)])
        assert list(json.loads(b"".join(assemble("noarch", [fragment])))["packages.conda"]) == ['a"b\\ü.conda']


@given(st.lists(st.lists(st.tuples(st.text(max_size=5), st.booleans()), max_size=4), max_size=6))
def test_whatever_the_fragments_hold_the_whole_is_their_union(names: list[list[tuple[str, bool]]]) -> None:
    wanted: dict[str, dict[str, Any]] = {"packages": {}, "packages.conda": {}}
    fragments: list[Fragment] = []
    for number, group in enumerate(names):
        files = {
            f"{number}{text}{'.conda' if conda else '.tar.bz2'}".replace("\ud800", ""): conda for text, conda in group
        }
        for filename, conda in files.items():
            wanted["packages.conda" if conda else "packages"][filename] = {"n": number}
        fragments.append(render_fragments((filename, canonical_json({"n": number}), None) for filename in files))
    document = json.loads(b"".join(assemble("noarch", fragments)))
    assert {key: document[key] for key in wanted} == wanted


def test_a_large_index_comes_in_pieces() -> None:
    fragments = [(b"", b'"a%d.conda":{"x":"%s"}' % (number, b"y" * 1000)) for number in range(2000)]
    pieces = list(assemble("noarch", fragments))
    assert max(map(len, pieces)) < 300_000
    assert len(json.loads(b"".join(pieces))["packages.conda"]) == 2000


class TestCurrentRepodata:
    def test_the_newest_version_with_its_highest_build_number(self) -> None:
        names = [
            "a-1.9-0.conda",
            "a-1.10-0.conda",
            "a-1.10-py39_1.conda",
            "a-1.10-py310_1.conda",
            "a-1.10-py310_1.tar.bz2",
        ]
        assert current_files({name: _columns(name) for name in names}) == set(names[2:])

    def test_what_the_newest_need_is_kept_too(self) -> None:
        files = {
            "app-2-0.conda": ["lib <2"],
            "app-1-0.conda": ["lib"],
            "lib-3-0.conda": [],
            "lib-1.5-0.conda": ["core ==1", "elsewhere"],
            "lib-1.4-0.conda": [],
            "core-2-0.conda": [],
            "core-1-0.conda": ["this is no ] spec"],
        }
        kept = current_files({name: _columns(name, depends) for name, depends in files.items()})
        assert kept == {"app-2-0.conda", "lib-3-0.conda", "lib-1.5-0.conda", "core-2-0.conda", "core-1-0.conda"}


class TestChanneldata:
    held = Facts(
        coordinate=Coordinate("conda", "osx-64", "demo-1.1-0.conda", "demo", "1.1", "0"),
        record={},
        about={"summary": "A demo", "home": "https://example.org", "license": "old", "secret": "x"},
        install_code=["bin/.demo-post-link.sh"],
    )
    exports: Mapping[str, dict[str, Any]] = {
        "1.1": {"weak": ["demo >=1.1"], "schema_version": 1}, "1.0": {"strong": ["demo"]}, "0": {},
    }  # fmt: skip
    overview = overview("1.1", "BSD-3-Clause", 1_700_000_000, ["linux-64", "osx-64"], held, exports)
    document = json.loads(assemble_channeldata([("demo", overview)], ["linux-64", "osx-64"]))

    def test_version_and_subdirs(self) -> None:
        assert self.document["channeldata_version"] == 1
        assert self.document["subdirs"] == ["linux-64", "noarch", "osx-64"]

    def test_a_name_has_its_newest_version_and_all_required_keys(self) -> None:
        demo = self.document["packages"]["demo"]
        assert demo == {
            "activate.d": False, "binary_prefix": False, "deactivate.d": False, "text_prefix": False,
            "home": "https://example.org", "license": "BSD-3-Clause", "summary": "A demo", "post_link": True,
            "pre_link": False, "pre_unlink": False,
            "run_exports": {"1.1": {"weak": ["demo >=1.1"]}, "1.0": {"strong": ["demo"]}},
            "subdirs": ["linux-64", "osx-64"], "timestamp": 1_700_000_000, "version": "1.1",
        }  # fmt: skip

    def test_an_empty_channel_has_noarch(self) -> None:
        assert json.loads(assemble_channeldata([], [])) == {
            "channeldata_version": 1, "packages": {}, "subdirs": ["noarch"],
        }  # fmt: skip
