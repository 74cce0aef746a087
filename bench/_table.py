"""Runs benchmarks one after the other (a quiet machine matters) and prints their figures as one table.

    python3 dev.py bench [NAME …] [--only NAME]

What breaks, or lasts longer than LONGEST_S, is told at the end; the others are run all the same.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
HEAD = ["figure", "value", "goal", ""]
LONGEST_S = 900
MARK = "DESKSIDE_BENCH_RUN"  # in the environment of all that a script starts
STOPPED = "stopped by Ctrl+C"


@dataclass
class Ran:
    """One script: its rows, how long it took, and what went wrong ("" = nothing)."""

    name: str
    rows: list[list[str]] = field(default_factory=list)
    seconds: float = 0.0
    wrong: str = ""


def scripts() -> dict[str, Path]:
    """All there are, by name."""
    return {path.stem: path for path in sorted(HERE.glob("*.py")) if not path.name.startswith("_")}


def main(words: list[str]) -> int:
    """1 if a benchmark broke; a goal missed is told in the table."""
    known = scripts()
    parser = argparse.ArgumentParser(prog="dev.py bench", description="Run benchmarks and print their figures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--only", action="append", default=[], metavar="NAME", choices=known)
    asked = parser.parse_args(words)
    chosen = [*asked.names, *asked.only] or list(known)
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    done: list[Ran] = []
    for name in dict.fromkeys(chosen):
        done.append(run(name, known[name]))
        if done[-1].wrong == STOPPED:
            break
    print_table([row for ran in done for row in ran.rows])
    print("\nseconds: " + ", ".join(f"{ran.name} {ran.seconds:.0f}" for ran in done))
    for ran in done:
        if ran.wrong:
            print(f"broken: {ran.name} ({ran.wrong})")
    return int(any(ran.wrong for ran in done))


def run(name: str, script: Path, longest_s: float = LONGEST_S) -> Ran:
    """Run one script to its end, or to its time's. Whatever it started is gone afterwards."""
    print(f"{name} …", file=sys.stderr, flush=True)
    ran, begun, mark = Ran(name), time.monotonic(), uuid.uuid4().hex
    environment = {**os.environ, MARK: mark}
    with tempfile.TemporaryFile() as told:  # a pipe would not end before all that a script left behind
        with subprocess.Popen([sys.executable, str(script)], stdout=told, env=environment) as process:
            try:
                process.wait(longest_s)
            except subprocess.TimeoutExpired:
                ran.wrong = f"longer than {longest_s:.0f} s"
            except KeyboardInterrupt:
                ran.wrong = STOPPED
            finally:
                end_all(mark)
        told.seek(0)
        lines = told.read().decode("utf-8", "replace").splitlines()
    if process.returncode and not ran.wrong:
        ran.wrong = f"exit code {process.returncode}"
    ran.seconds = time.monotonic() - begun
    ran.rows = [line.split("\t") for line in lines if line.count("\t") == 3]
    return ran


def end_all(mark: str) -> None:
    """End every process that a script left: known by what they inherited, as servers run in sessions of their own."""
    import psutil

    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                process.kill()
                left.append(process)
    psutil.wait_procs(left, timeout=10)


def print_table(rows: list[list[str]]) -> None:
    wide = [max(len(row[i]) for row in [HEAD, *rows]) for i in range(4)]
    for row in [HEAD, *rows]:
        print("  ".join(cell.ljust(wide[i]) for i, cell in enumerate(row)).rstrip())


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
