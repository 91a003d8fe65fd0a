"""nginx serving a folder: no permission, no audit, the floor of what a download can cost."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from bench.kit.context import Context, Missing
from tests.kit.processes import accepts, find_program, free_port, start, stop, wait_until

_CONFIG = """
daemon off; {user} worker_processes 2; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def serve_folder(context: Context, root: Path) -> int:
    """Serve `root` until the run ends; return the port. Raises Missing."""
    program = find_program("nginx", Path("/usr/sbin"))
    if program is None:
        raise Missing("nginx is not installed: apt-get install nginx-light")
    folder = context.folder / f"nginx-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    port = free_port()
    (folder / "conf").write_text(
        _CONFIG.format(folder=folder, root=root, port=port, user="user root;" if os.geteuid() == 0 else "")
    )
    process = start([program, "-p", folder, "-c", folder / "conf"], log=folder / "log")
    context.stack.callback(lambda: stop(process))
    wait_until(lambda: accepts(port), process, folder / "log")
    return port
