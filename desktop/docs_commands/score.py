"""`deskside docs score COLLECTION questions.jsonl`: how well a collection answers questions whose answers are known."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from desktop.docs_indexing import add_collection
from desktop.pipe import EnginePipe
from desktop.terminal import Progress, print_json, print_table
from desktop.text import tr
from engine.api.errors import UserError

HELP = "docs_ask.score"
SHARES = ("recall_1", "recall_5", "recall_10", "contained", "cited", "answered", "refused")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("file", metavar="FILE", help=tr("docs_ask.questions_file"))
    parser.add_argument("--model", default="", metavar="NAME", help=tr("commands.model"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    questions = read_rows(Path(args.file).expanduser())
    progress = Progress()

    def show(event: dict[str, int]) -> None:
        progress.show(event["done"] / max(1, event["total"]), f"{event['done']} / {event['total']}")

    asked: dict[str, Any] = {"collection": args.collection, "questions": questions, "model": args.model}
    found = engine.stream("docs.score", show, **asked)
    progress.clear()
    if args.json:
        print_json(found)
    else:
        _show(found["card"])
    return 0


def read_rows(path: Path) -> list[dict[str, Any]]:
    """One JSON object a line. Raises UserError bad_questions with the line, or that of a file that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            "no_such_path", f"{path} cannot be read ({error}).", "Check the path.", path=str(path)
        ) from None
    return [_row(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _row(number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise UserError(
            "bad_questions", f"Question {number} cannot be read.", "Write one object a line.", number=number
        )
    return row


def _show(card: dict[str, Any]) -> None:
    rows = [[tr("docs_ask.measure"), tr("docs_ask.value")]]
    rows += [[tr(f"docs_ask.{name}"), "–" if card[name] is None else f"{card[name]:.2f}"] for name in SHARES]
    seconds = card["seconds"]
    rows.append([tr("docs_ask.seconds"), "–" if seconds is None else f"{seconds:.1f}"])
    print_table(rows)
