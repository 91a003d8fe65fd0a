"""CEP 12: run_exports.json beside repodata.json."""

from __future__ import annotations

import json
from typing import Any

from packhouse.formats.conda.repodata import run_exports_json

ENTRIES: list[tuple[str, dict[str, Any]]] = [
    ("zlib-1.3-h0_0.conda", {"weak": ["zlib >=1.3,<2"], "schema_version": 2}),
    ("zlib-1.3-h0_0.tar.bz2", {"weak": ["zlib >=1.3,<2"], "strong_constrains": ["zlib"]}),
    ("demo-1.0-0.conda", {}),
]


class TestSpecification:
    document = json.loads(run_exports_json("linux-64", ENTRIES))

    def test_info_names_platform_arch_and_subdir(self) -> None:
        assert self.document["info"] == {"platform": "linux", "arch": "64", "subdir": "linux-64", "version": 1}

    def test_files_stand_under_their_container(self) -> None:
        assert list(self.document["packages"]) == ["zlib-1.3-h0_0.tar.bz2"]
        assert sorted(self.document["packages.conda"]) == ["demo-1.0-0.conda", "zlib-1.3-h0_0.conda"]

    def test_each_has_the_fields_of_its_archive(self) -> None:
        exports = self.document["packages"]["zlib-1.3-h0_0.tar.bz2"]["run_exports"]
        assert exports == {"weak": ["zlib >=1.3,<2"], "strong_constrains": ["zlib"]}
        assert self.document["packages.conda"]["zlib-1.3-h0_0.conda"]["run_exports"] == {"weak": ["zlib >=1.3,<2"]}

    def test_a_package_without_them_has_an_empty_item(self) -> None:
        assert self.document["packages.conda"]["demo-1.0-0.conda"] == {"run_exports": {}}

    def test_the_order_of_entries_does_not_matter(self) -> None:
        assert run_exports_json("linux-64", ENTRIES[::-1]) == run_exports_json("linux-64", ENTRIES)
