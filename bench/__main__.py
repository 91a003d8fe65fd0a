"""`python -m bench`: runs the benches and prints one table.

python -m bench                          # everything, full size: more than half an hour
python -m bench upload download          # some of it
python -m bench --size small             # does every script still run? No figure means anything
python -m bench --only-sqlite --no-peers # ours alone, embedded
python -m bench --write bench/RESULTS.md # and keep the result
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from bench.kit.context import POSTGRES, POSTGRES_3, SQLITE, Context, Missing
from bench.kit.machine import describe
from bench.kit.report import Line, table

#: module → what it is about; in the order of the table
BENCHES = {
    "upload": "one upload until a client can install it",
    "sustained": "many uploads at once",
    "folder": "a folder of packages becomes a channel",
    "download": "packages and indexes, read by many clients",
    "mirror": "another channel is taken over",
    "listing": "lists and search over a million files",
    "judging": "advisories and policies over a million files",
    "reports": "a year of downloads, told one by one",
    "tokens": "what the check of a token costs",
    "people": "lists of what people may see, sign-in, and until a right is gone",
    "memory": "what the server keeps resident",
}


def main() -> None:
    """Run what the command line names."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="packhouse-bench-", dir=options.folder))
    setups = (SQLITE,) if options.only_sqlite else (SQLITE, POSTGRES, POSTGRES_3)
    parts = []
    try:
        with ExitStack() as stack:
            small = options.size == "small"
            largest = 1000 if small else options.largest
            context = Context(small, folder, setups, not options.no_peers, stack, largest)
            failed = False
            for name in options.bench or BENCHES:
                lines, whole = _run(context, name)
                failed |= not whole
                parts.append(f"## {BENCHES[name].capitalize()}\n\n{table(lines, setups)}")
                print(parts[-1], flush=True)
            text = describe() + "\n" + "\n".join(parts) + _notes(context)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(_notes(context))
    if options.write:
        options.write.write_text(text)
    sys.exit(failed)


def _run(context: Context, name: str) -> tuple[list[Line], bool]:
    """Return the lines of one bench, and whether it came to its end."""
    print(f"{name}: {BENCHES[name]}", file=sys.stderr, flush=True)
    run: Callable[[Context], Iterator[Line]] = import_module(f"bench.{name}").run
    lines: list[Line] = []
    begun = time.perf_counter()
    try:
        for line in run(context):
            lines.append(line)
    except Missing as missing:
        context.note(str(missing))
    except Exception:
        traceback.print_exc()
        return lines, False
    context.say(f"{time.perf_counter() - begun:.0f} s")
    return lines, True


def _notes(context: Context) -> str:
    return "".join(f"\n- {note}" for note in context.notes) + "\n" if context.notes else ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bench", nargs="*", choices=[*BENCHES, []], help="which (default: all)")
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument(
        "--largest", type=int, default=1_000_000, help="files in the largest channel, and downloads of the report"
    )
    parser.add_argument("--only-sqlite", action="store_true", help="leave PostgreSQL and S3 out")
    parser.add_argument("--no-peers", action="store_true", help="leave the others out")
    parser.add_argument("--folder", type=Path, help="where to put data, on the disk to measure (default: temporary)")
    parser.add_argument("--write", type=Path, help="write the result here as well")
    return parser.parse_args()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
