"""Requests that search in collections of documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.core import Call, Core

MOST = 1000
LONGEST_LINE = 1 << 20


def search(
    core: Core,
    call: Call,
    collection: str,
    query: str,
    top: int = 10,
    filters: dict[str, Any] | None = None,
    rerank: str = "",
) -> dict[str, Any]:
    """The best chunks for a query: Found as JSON."""
    top = max(1, min(top, MOST))
    return core.searching.search(core.documents.store, collection, query, top, filters, rerank).to_json()


def run(
    core: Core, call: Call, collection: str, queries: str, out: str, top: int = 100, rerank: str = ""
) -> dict[str, Any]:
    """Search every query of a file of rows {"_id", "text"}; write "query-id document-id score", tab between.

    A document counts by its best chunk, its id is its name. Events: step {done, total}. {queries, seconds}.
    """
    rows = _queries(Path(queries).expanduser())
    top = max(1, min(top, MOST))
    spent = 0.0
    lines = []
    for number, (identity, text) in enumerate(rows, 1):
        if call.cancelled.is_set():
            raise Cancelled
        found = core.searching.search(core.documents.store, collection, text, 2 * top, None, rerank)
        spent += sum(found.timings.values())
        lines += [f"{identity}\t{name}\t{score:.6f}\n" for name, score in by_document(found.hits)[:top]]
        call.emit("step", done=number, total=len(rows))
    _write(Path(out).expanduser(), lines)
    return {"queries": len(rows), "seconds": spent}


def by_document(hits: list[Any]) -> list[tuple[str, float]]:
    """Documents by name, best first, each with the score of its best chunk."""
    best: dict[str, float] = {}
    for hit in hits:
        best[hit.name] = max(hit.score, best.get(hit.name, 0.0))
    return sorted(best.items(), key=lambda pair: -pair[1])


def _queries(path: Path) -> list[tuple[str, str]]:
    rows = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                if line.strip():
                    rows.append(_query(path, number, line))
    except OSError as error:
        raise UserError(
            "cannot_read_file", f"{path} cannot be read ({error.strerror}).", "Check the name.", path=str(path)
        ) from None
    return rows


def _query(path: Path, number: int, line: bytes) -> tuple[str, str]:
    try:
        row = json.loads(line.decode("utf-8-sig"))
        identity, text = " ".join(str(row["_id"]).split()), str(row["text"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(
            "bad_queries",
            f"Line {number} of {path.name} is no query.",
            'Each line is a row {"_id": …, "text": …}.',
            line=number,
            name=path.name,
        ) from None
    return identity, text


def _write(path: Path, lines: list[str]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UserError(
            "cannot_write_file",
            f"{path} cannot be written ({error.strerror}).",
            "Choose another place.",
            path=str(path),
        ) from None
