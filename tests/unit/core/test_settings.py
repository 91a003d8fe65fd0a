"""Settings: who wins, what is refused, and that a refusal names the setting and who set it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packhouse.core.errors import PackhouseError
from packhouse.core.settings import DESCRIPTIONS, Settings, load, similar, unknown_variables


def refusal(environ: dict[str, str] | None = None, file: Path | None = None, **given: Any) -> str:
    with pytest.raises(PackhouseError) as caught:
        load(environ or {}, file, **given)
    assert caught.value.code == "bad_request"
    return str(caught.value)


def test_options_win_over_variables_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "packhouse.toml").write_text('port = 1\nhost = "::1"\nlog_level = "error"\n')
    found = load({"PACKHOUSE_PORT": "2", "PACKHOUSE_HOST": "::"}, port=3, data_dir=tmp_path)
    assert (found.port, found.host, found.log_level, found.log_format) == (3, "::", "error", "text")
    assert found.origin("port") == "`port`, from the option --port"
    assert found.origin("host") == "`host`, from the environment variable PACKHOUSE_HOST"
    assert found.origin("log_level") == f"`log_level`, from the file {tmp_path / 'packhouse.toml'}"
    assert found.origin("log_format") == "`log_format`, its default"


def test_an_empty_variable_sets_nothing() -> None:
    assert load({"PACKHOUSE_PORT": "", "PACKHOUSE_DATA_DIR": ""}).port == 8080
    assert load({"PACKHOUSE_DATA_DIR": ""}).data_dir == Path("packhouse-data").absolute()


def test_a_file_named_by_a_variable_may_name_the_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('data_dir = "/srv/there"')
    found = load({"PACKHOUSE_CONFIG": str(file)})
    assert found.data_dir == Path("/srv/there")
    assert found.database_url == "sqlite:////srv/there/packhouse.db"
    file.write_text("data_dir = 3")
    assert f"`data_dir`, from the file {file}" in refusal({"PACKHOUSE_CONFIG": str(file)})


def test_folders_of_any_name_are_understood(tmp_path: Path) -> None:
    from packhouse.core.blobs import local_folder

    folder = tmp_path / "50% #1 ?"
    assert local_folder(load({}, data_dir=folder).blob_url) == folder / "blobs"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "99999"),
        ("port", "-1"),
        ("port", "http"),
        ("host", 0),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("upload_bytes", "0"),
        ("s3_cache_bytes", "-5"),
        ("sweep_grace_seconds", "-1"),
        ("shrink_guard_percent", "101"),
        ("mirror_concurrency", "0"),
        ("database_url", "mysql://host/db"),
        ("blob_url", "ftp://host/"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name_and_origin(name: str, value: Any) -> None:
    said = refusal(**{name: value})
    assert f"`{name}`, from the option --" in said
    assert DESCRIPTIONS[name] in said
    if isinstance(value, str):
        variable = f"PACKHOUSE_{name.upper()}"
        assert f"`{name}`, from the environment variable {variable}" in refusal({variable: value})


def test_a_refusal_shows_no_secret() -> None:
    assert "hush" not in refusal({"PACKHOUSE_DATABASE_URL": "mysql://user:hush@host/db"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "`prot`, which is no setting. Did you mean port?"),
        ("public_uri = 'http://x'", "`public_uri`, which is no setting."),
        ("port = ", "cannot be read: Invalid value"),
        ("port = [1]", "`port`, from the file"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "packhouse.toml"
    file.write_text(text)
    refused = refusal(data_dir=tmp_path)
    assert said in refused and str(file) in refused


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal({"PACKHOUSE_CONFIG": str(tmp_path / "none.toml")})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    assert "binary.toml cannot be read" in refusal(file=tmp_path / "binary.toml")


def test_unknown_variables_are_found() -> None:
    environ = {"PACKHOUSE_PROT": "1", "PACKHOUSE_TEST_S3_BIN": "x", "PACKHOUSE_CONFIG": "x", "PATH": "x"}
    environ["PACKHOUSE_ADMIN_PASSWORD"] = "x"
    assert unknown_variables(environ) == ["PACKHOUSE_PROT"]
    assert similar("prot", DESCRIPTIONS) == "Did you mean port?"
    assert similar("xyzzy", DESCRIPTIONS) == ""


def test_every_setting_is_described() -> None:
    assert set(Settings.__struct_fields__) == {*DESCRIPTIONS, "origins"}


def test_private_hosts_are_named_with_their_ports() -> None:
    good = "10.0.0.1:443, packages.lan:8080,[fd00::7]:443"
    assert len(load({"PACKHOUSE_ALLOWED_PRIVATE_HOSTS": good}).private_hosts) == 3
    for bad in ("10.0.0.1", "packages.lan", "http://10.0.0.1:80", "10.0.0.0/24", "[fd00::7]"):
        said = refusal({"PACKHOUSE_ALLOWED_PRIVATE_HOSTS": f"10.0.0.1:443,{bad}"})
        assert "`allowed_private_hosts`, from the environment variable" in said
        assert f"{bad!r} is no `host:port`" in said
