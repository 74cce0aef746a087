"""Runs benchmarks one after the other (a quiet machine matters) and prints their figures as one table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAD = ["figure", "value", "goal", ""]


def main(scripts: list[str]) -> int:
    """1 if a benchmark broke; a goal missed is told in the table."""
    rows, broken = [HEAD], []
    for script in scripts:
        print(f"{Path(script).stem} …", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True, check=False)
        rows += [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 3]
        broken += [Path(script).stem] if done.returncode else []
    wide = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(wide[i]) for i, cell in enumerate(row)).rstrip())
    if broken:
        print(f"broken: {', '.join(broken)}")
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
