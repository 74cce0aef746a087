"""How the command line draws: tables, progress, JSON. Knows nothing of the engine."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

BAR = 24
STEPS = 10  # lines of a whole progress where it cannot be drawn over


def print_json(data: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(data, ensure_ascii=False, indent=1))


def width(text: str) -> int:
    """Columns that `text` takes in a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shortened(text: str, columns: int) -> str:
    """`text` on one line of at most `columns`."""
    line = " ".join(text.split())
    if width(line) <= columns:
        return line
    kept = ""
    for character in line:
        if width(kept + character) > columns - 1:
            break
        kept += character
    return kept + "…"


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell, the last one cut at the terminal's edge."""
    if not rows:
        return
    columns = shutil.get_terminal_size().columns
    wide = [max(width(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        start = "  ".join(cell + " " * (wide[i] - width(cell)) for i, cell in enumerate(row[:-1]))
        start += "  " if len(row) > 1 else ""
        last = shortened(row[-1], max(20, columns - width(start))) if sys.stdout.isatty() else row[-1]
        print((start + last).rstrip())


def print_tree(data: Any, indent: int = 0) -> None:
    """Nested data as indented lines "name: value"."""
    pairs = data.items() if isinstance(data, dict) else enumerate(data, 1)
    for name, value in pairs:
        if isinstance(value, dict | list) and value:
            print(" " * indent + f"{name}:")
            print_tree(value, indent + 2)
        else:
            print(" " * indent + f"{name}: {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "", [], {}) else str(value)


def dim(text: str) -> str:
    """`text` in grey where stderr is a terminal."""
    return f"\033[2m{text}\033[0m" if sys.stderr.isatty() else text


class Progress:
    """One line on stderr that is drawn over; in a file a line for every tenth."""

    def __init__(self) -> None:
        self._drawn = False
        self._step = -1

    def show(self, part: float, text: str) -> None:
        """Draw `part` (0 to 1) with `text` after it."""
        part = min(1.0, max(0.0, part))
        if sys.stderr.isatty():
            full = round(part * BAR)
            line = f"{'━' * full}{'─' * (BAR - full)} {part:4.0%}  {text}"
            self._write("\r" + shortened(line, shutil.get_terminal_size().columns - 1) + "\033[K")
        elif int(part * STEPS) > self._step:
            self._step = int(part * STEPS)
            print(f"{part:4.0%}  {text}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave an empty line for what is printed next."""
        if self._drawn:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        self._drawn = False

    def _write(self, text: str) -> None:
        self._drawn = True
        sys.stderr.write(text)
        sys.stderr.flush()
