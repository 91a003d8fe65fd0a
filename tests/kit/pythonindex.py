"""A Python index to be mirrored: real little wheels and the pages that name them, for `tests.kit.upstream.Upstream`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from packhouse.formats.python.pages import JSON_TYPE
from tests.kit.upstream import Upstream
from tests.kit.wheels import make_wheel, metadata


def wheel_of(
    name: str, version: str = "1.0", needs: Iterable[str] = (), fields: Iterable[str] = ()
) -> tuple[str, bytes]:
    """Return file name and bytes of a wheel whose module says its version."""
    module = name.replace("-", "_")
    lines = [*(f"Requires-Dist: {one}" for one in needs), *fields]
    files = {f"{module}/__init__.py": f"version = {version!r}\n".encode()}
    return f"{module}-{version}-py3-none-any.whl", make_wheel(
        files, metadata(name, version, lines), f"{module}-{version}.dist-info"
    )


class PythonSource:
    """Projects and their files, as pages of an index below `simple/`."""

    def __init__(self) -> None:
        self.projects: dict[str, list[dict[str, Any]]] = {}
        self.bytes: dict[str, bytes] = {}

    def add(self, name: str, version: str = "1.0", needs: Iterable[str] = (), **said: Any) -> str:
        """Add a wheel and return its file name; what the page says of it besides comes last."""
        filename, content = wheel_of(name, version, needs)
        lines = [f"Requires-Dist: {one}" for one in needs]
        apart = metadata(name, version, lines)
        self.bytes[f"simple/{name}/{filename}"] = content
        self.bytes[f"simple/{name}/{filename}.metadata"] = apart
        self.projects.setdefault(name, []).append(
            {
                "filename": filename,
                "url": filename,
                "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
                "size": len(content),
                "upload-time": "2024-01-01T00:00:00Z",
                "core-metadata": {"sha256": hashlib.sha256(apart).hexdigest()},
                **said,
            }
        )
        return filename

    def drop(self, name: str, filename: str) -> None:
        """Take a file away."""
        self.projects[name] = [one for one in self.projects[name] if one["filename"] != filename]

    def put_on(self, up: Upstream) -> None:
        """Let a server have what there is now."""
        pages = {
            f"simple/{name}/": json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": files}).encode()
            for name, files in self.projects.items()
        }
        up.files = {**self.bytes, **pages}
        up.types = dict.fromkeys(pages, JSON_TYPE)
