"""JSON and JSON lines: every value with the path of its keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.documents.block import Block, Limits
from engine.documents.readers.plain_text import paragraphs
from engine.documents.text_file import text_of

SUFFIXES = (".json", ".jsonl", ".ndjson", ".geojson", ".ipynb")
LONG = 1500  # characters of a block


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """A block a record, or a few short values together; what is no JSON after all is read as text."""
    text = text_of(path, limits)
    found = _value(text)
    if isinstance(found, dict) and isinstance(found.get("cells"), list) and path.suffix.lower() == ".ipynb":
        yield from _notebook(found["cells"])
    elif found is not None:
        yield from _records(found)
    else:
        yield from _lines(text)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _lines(text: str) -> Iterator[Block]:
    for line in paragraphs(text):
        values = [_value(part) for part in line.split("\n")]
        if any(value is None for value in values):
            yield Block("text", line)
        else:
            for value in values:
                yield from _records(value if isinstance(value, list) else [value])


def _records(value: Any) -> Iterator[Block]:
    for record in value if isinstance(value, list) else [value]:
        lines: list[str] = []
        for line in _leaves(record, ""):
            if sum(map(len, lines)) + len(line) > LONG:
                yield Block("text", "\n".join(lines))
                lines = []
            lines.append(line)
        yield Block("text", "\n".join(lines))


def _leaves(value: Any, path: str) -> Iterator[str]:
    """Lines "key.key: value", in order. Nesting is bounded by the parser's own."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(inner, dict | list) for inner in value):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        shown = ", ".join(map(_shown, value)) if isinstance(value, list) else _shown(value)
        yield f"{path}: {shown}" if path else shown


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _notebook(cells: list[Any]) -> Iterator[Block]:
    from engine.documents.readers.markdown_text import blocks_of

    for cell in cells:
        if isinstance(cell, dict):
            source = cell.get("source", "")
            text = "".join(map(str, source)) if isinstance(source, list) else str(source)
            yield from blocks_of(text) if cell.get("cell_type") == "markdown" else [Block("code", text)]
            yield from _outputs(cell.get("outputs"))


def _outputs(outputs: Any) -> Iterator[Block]:
    for output in outputs if isinstance(outputs, list) else []:
        if isinstance(output, dict):
            data = output.get("data")
            text = output.get("text") or (data.get("text/plain") if isinstance(data, dict) else "") or ""
            yield Block("code", "".join(map(str, text)) if isinstance(text, list) else str(text))
