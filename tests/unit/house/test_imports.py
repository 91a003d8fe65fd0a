"""What the import contract (`.importlinter`) cannot say: modules nobody may use, and what the command line loads."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.unit.house.sources import Source, imported, sources

#: module -> why nobody in the house imports it
_BANNED = {
    "pickle": "running what it reads",
    "marshal": "running what it reads",
    "shelve": "running what it reads",
    "lzma": "opening archives without limits",
    "urllib.request": "dialling out past core/fetch",
    "http.client": "dialling out past core/fetch",
    "requests": "dialling out past core/fetch",
    "httpx": "dialling out past core/fetch",
    "xml.etree": "expanding entities",
}
#: what a rule of a policy must not reach: rules are pure
_IMPURE = ("os", "io", "pathlib", "socket", "subprocess", "asyncio", "packhouse.core", "packhouse.catalog")
#: what the light client is installed without, or must not wait for
_SERVER = {
    "aiohttp", "alembic", "argon2", "granian", "litestar", "obstore", "psycopg", "rattler", "sqlalchemy", "sqlite3",
    "packhouse.app", "packhouse.catalog", "packhouse.doors", "packhouse.security", "packhouse.workflows",
}  # fmt: skip


def starts(name: str, prefixes: tuple[str, ...]) -> bool:
    """Tell whether a dotted name is one of `prefixes` or lies inside one."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


@pytest.mark.parametrize("module", _BANNED)
def test_nobody_imports(module: str) -> None:
    users = [source.name for source in sources() if any(starts(name, (module,)) for name in imported(source))]
    assert users == [], f"{module}: {_BANNED[module]}"


def rules() -> list[Source]:
    """Return the files of single rules."""
    return [source for source in sources() if "/policies/rules/" in source.name]


def test_a_rule_does_no_io() -> None:
    reached = {source.name: {name for name in imported(source) if starts(name, _IMPURE)} for source in rules()}
    # errors are words, and writing a time down is not reading the clock
    words = {"packhouse.core.errors.PackhouseError", "packhouse.core.clock.to_iso"}
    impure = {name: found - words for name, found in reached.items()}
    assert {name: found for name, found in impure.items() if found} == {}


@pytest.mark.skipif(importlib.util.find_spec("packhouse.cli.main") is None, reason="there is no command line yet")
def test_the_command_line_loads_nothing_of_the_server() -> None:
    program = "import sys, packhouse.cli.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(_SERVER.intersection(loaded)) == []
