"""A real conda client: py-rattler fetches the index, solves and installs, in a process of its own.

In a process of its own because py-rattler may crash when the interpreter exits: the result is what it printed, never
its exit code. Run as a program, this file is that process: it reads the order as JSON and prints the result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIMEOUT = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Result:
    """What the client did: `installed` maps names to versions, `files` to `subdir/filename`; `error` is its own words.

    With `error` set nothing was installed, `files` holds what had been solved by then, and `stage` says how far it got:
    `solve` or `install`.
    """

    stage: str = "start"
    installed: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything was solved and installed."""
        return not self.error


def solve_and_install(
    channel_url: str,
    specs: Sequence[str],
    prefix: Path | None,
    *,
    auth_file: Path | None = None,
    shards: bool | None = None,
    zstd: bool = True,
    bz2: bool = True,
    lock: Path | None = None,
    cache_dir: Path,
) -> Result:
    """Solve `specs` against one channel and install them into `prefix` (None: only solve).

    With `lock` a lock file of what was solved is written there, with the address of each file.

    `shards`: True and False force sharded (CEP 16) and monolithic repodata, None leaves the choice to the client.
    Forced shards switch the other encodings off, but the plain `repodata.json` stays the client's last resort.
    `auth_file` is a RATTLER_AUTH_FILE (`{host: {"BearerToken": ...}}`, `CondaToken` or `BasicHTTP`). `cache_dir` holds
    repodata and packages, so that a second call with the same one asks conditionally. Raises RuntimeError when
    the process printed no result.
    """
    order = {
        "channel": channel_url,
        "specs": list(specs),
        "prefix": str(prefix) if prefix else None,
        "lock": str(lock) if lock else None,
        "cache": str(cache_dir),
        "source": {
            "sharded_enabled": shards is not False,
            "zstd_enabled": zstd and not shards,
            "bz2_enabled": bz2 and not shards,
        },
    }
    return _run(order, auth_file, cache_dir)


def install_locked(lock: Path, prefix: Path, *, auth_file: Path | None = None, cache_dir: Path) -> Result:
    """Install what a lock file names, from the addresses in it, without asking for any index."""
    return _run({"locked": str(lock), "prefix": str(prefix), "cache": str(cache_dir)}, auth_file, cache_dir)


def _run(order: dict[str, Any], auth_file: Path | None, cache_dir: Path) -> Result:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CONDA", "RATTLER"))}
    environment |= {"RATTLER_CACHE_DIR": str(cache_dir), "HOME": str(cache_dir)}
    # without a file of its own the client would read the keyring and the home of whoever runs the tests
    environment["RATTLER_AUTH_FILE"] = str(auth_file or _empty_auth_file(cache_dir))
    process = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(order),
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    lines = process.stdout.splitlines()
    if not lines:
        raise RuntimeError(f"py-rattler printed no result (exit {process.returncode}): {process.stderr[-2000:]}")
    return Result(**json.loads(lines[-1]))


def _empty_auth_file(cache_dir: Path) -> Path:
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = cache_dir / "no-credentials.json"
    path.write_text("{}")
    return path


async def _obey(order: dict[str, Any]) -> dict[str, Any]:
    """Do what was ordered, in the process that may crash."""
    import rattler

    cache = Path(order["cache"])
    client = rattler.Client.default_client()
    done: dict[str, Any] = {"stage": "solve"}
    try:
        records = _locked(Path(order["locked"])) if "locked" in order else await _solved(order, client)
        done["files"] = {r.name.normalized: f"{r.subdir}/{r.file_name}" for r in records}
        done["installed"] = {r.name.normalized: str(r.version) for r in records}
        if order["prefix"]:
            done["stage"] = "install"
            await rattler.install(
                records, order["prefix"], cache_dir=cache / "packages", client=client, show_progress=False
            )
    except Exception as error:
        done |= {"error": f"{type(error).__name__}: {error}", "installed": {}}
    return done


async def _solved(order: dict[str, Any], client: Any) -> list[Any]:
    import rattler

    gateway = rattler.Gateway(
        cache_dir=Path(order["cache"]) / "repodata",
        default_config=rattler.SourceConfig(**order["source"]),
        client=client,
    )
    records = await rattler.solve(
        sources=[order["channel"]],
        specs=order["specs"],
        gateway=gateway,
        virtual_packages=rattler.VirtualPackage.detect(),
    )
    if order["lock"]:
        platform = rattler.LockPlatform(str(rattler.Subdir.current()))
        lock = rattler.LockFile([platform])
        lock.set_channels("default", [rattler.LockChannel(order["channel"])])
        for record in records:
            lock.add_conda_package("default", platform, record)
        lock.to_path(order["lock"])
    return list(records)


def _locked(path: Path) -> list[Any]:
    import rattler

    environment = rattler.LockFile.from_path(path).default_environment()
    assert environment is not None
    [platform] = environment.platforms()
    return list(environment.conda_repodata_records_for_platform(platform) or ())


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_obey(json.load(sys.stdin)))), flush=True)
    os._exit(0)
