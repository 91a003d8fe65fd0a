"""devpi-server, the Python index people run at home: one index without bases, wheels by the form that twine sends."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import uuid
import zipfile
from base64 import b64encode

from bench.kit.context import Context
from bench.kit.http import Connection, request
from bench.peers.environment import environment
from tests.kit.processes import accepts, free_port, start, stop, wait_until

REQUIREMENTS = ("devpi-server==6.20.3",)
_USER = "root"  # devpi's first user
INDEX = f"/{_USER}/bench"
_PASSWORD = "a-password-for-benches"
_JSON = "application/json"


class Devpi:
    """A running server with the index `root/bench`."""

    def __init__(self, context: Context) -> None:
        programs = environment("devpi", *REQUIREMENTS)
        folder = context.folder / f"devpi-{uuid.uuid4().hex[:8]}"
        init = [str(programs / "devpi-init"), "--serverdir", str(folder), "--no-root-pypi"]
        subprocess.run([*init, "--root-passwd", _PASSWORD], check=True, capture_output=True)
        self.port = free_port()
        words = ["--serverdir", str(folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._server = start([programs / "devpi-server", *words], log=folder / "log")
        context.stack.callback(self.stop)
        wait_until(lambda: accepts(self.port), self._server, folder / "log")
        connection = Connection(self.port, {"accept": _JSON, "content-type": _JSON})
        login = json.dumps({"user": "root", "password": _PASSWORD}).encode()
        token = json.loads(connection("POST", "/+login", login).body)["result"]["password"]
        self.headers = {"x-devpi-auth": b64encode(f"root:{token}".encode()).decode()}
        made = connection("PUT", INDEX, json.dumps({"bases": [], "volatile": True}).encode(), **self.headers)
        if made.status != 200:
            raise RuntimeError(f"devpi refused the index: {made}")
        connection.close()

    def upload_request(self, name: str, version: str, data: bytes) -> bytes:
        """Return the whole request of an upload."""
        boundary = "a-boundary-for-benches"
        fields = {":action": "file_upload", "name": name, "version": version, "metadata_version": "2.1"}
        fields |= {"filetype": "bdist_wheel", "pyversion": "py3", "protocol_version": "1"}
        parts = [
            f'--{boundary}\r\ncontent-disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
            for field, value in fields.items()
        ]
        head = f'--{boundary}\r\ncontent-disposition: form-data; name="content"; filename="{wheel_name(name, version)}"'
        body = b"".join([*parts, head.encode(), b"\r\n\r\n", data, f"\r\n--{boundary}--\r\n".encode()])
        return request(
            "POST", f"{INDEX}/", {**self.headers, "content-type": f"multipart/form-data; boundary={boundary}"}, body
        )

    @staticmethod
    def file_path(name: str, version: str, data: bytes) -> str:
        """Return where an uploaded wheel is downloaded from."""
        digest = hashlib.sha256(data).hexdigest()
        return f"{INDEX}/+f/{digest[:3]}/{digest[3:16]}/{wheel_name(name, version)}"

    def stop(self) -> None:
        """End the server."""
        stop(self._server)


def wheel_name(name: str, version: str) -> str:
    """Return the file name of a pure wheel."""
    return f"{name}-{version}-py3-none-any.whl"


def make_wheel(name: str, version: str, payload: bytes = b"") -> bytes:
    """Return a small pure wheel."""
    info = f"{name}-{version}.dist-info"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"{name}/__init__.py", b"")
        archive.writestr(f"{name}/data.bin", payload)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return out.getvalue()
