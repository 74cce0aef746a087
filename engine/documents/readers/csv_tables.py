"""Comma-, semicolon- and tab-separated tables, in any encoding."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.refusals import unreadable
from engine.documents.tables import table_blocks
from engine.documents.text_encoding import SAMPLE, encoding_of

SUFFIXES = (".csv", ".tsv", ".tab")
SEPARATORS = ",;\t|"
LONGEST_CELL = 1 << 20


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Raises UserError unreadable_document."""
    with path.open("rb") as file:
        encoding = encoding_of(file.read(SAMPLE))
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding=encoding, errors="replace", newline="") as lines:
        sample = lines.read(SAMPLE).splitlines()[:50]
        told = sample[0].strip().lower() if sample else ""
        lines.seek(0)
        try:
            separator = told[4] if re.fullmatch("sep=.", told) else separator_of(sample, path.suffix)
            if told.startswith("sep="):
                next(lines)
            yield from table_blocks(csv.reader(lines, delimiter=separator))
        except csv.Error as error:
            raise unreadable(path) from error


def separator_of(sample: list[str], suffix: str = "") -> str:
    """The character that parts most lines into equally many cells, outside of quotes."""
    best, most = "\t" if suffix in (".tsv", ".tab") else ",", 0.0
    for separator in SEPARATORS:
        rows = [row for row in csv.reader(sample, delimiter=separator) if row]
        width, times = Counter(map(len, rows)).most_common(1)[0] if rows else (1, 0)
        score = (times / max(1, len(rows))) * min(width, 3) if width > 1 else 0.0
        if score > most:
            best, most = separator, score
    return best
