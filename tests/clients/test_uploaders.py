"""Real uploaders put packages into a channel, and a real client finds them at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import Backend
from tests.kit.condapkg import make_conda
from tests.kit.rattler_client import solve_and_install
from tests.kit.server import Site, site_on

_UPLOAD = """
import sys, rattler_build
rattler_build.upload_package_to_artifactory([sys.argv[1]], sys.argv[2], sys.argv[3], token=sys.argv[4])
"""


def _upload(site: Site, file: Path, token: str) -> subprocess.CompletedProcess[str]:
    """Run py-rattler-build's artifactory uploader: a raw PUT with a Bearer token."""
    command = [sys.executable, "-c", _UPLOAD, str(file), f"{site.url}/api/repo/", "team", token]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_rattler_build_uploads_and_rattler_installs(backend: Backend, tmp_path: Path) -> None:
    file = tmp_path / "demo-1.0-0.conda"
    file.write_bytes(make_conda("demo", "1.0"))
    with site_on(backend, worker=False) as site:
        site.call("POST", "/api/channels", {"name": "team", "privacy": "public"})
        token = site.call("POST", "/api/account/tokens", {"name": "ci", "scopes": ["artifact:create"]})["token"]
        first = _upload(site, file, token)
        assert first.returncode == 0, first.stderr
        done = solve_and_install(
            f"{site.url}/api/repo/team", ["demo"], tmp_path / "env", shards=True, cache_dir=tmp_path / "cache"
        )
        assert done.installed == {"demo": "1.0"}, done.error
        file.write_bytes(make_conda("demo", "1.0", files={"other.txt": b"other bytes"}))
        second = _upload(site, file, token)
        assert second.returncode != 0
        refused = _upload(site, file, "0" * 48)
        assert refused.returncode != 0
        files = site.call("GET", "/api/channels/team/artifacts/conda/demo/files")
        assert files["total_count"] == 1
