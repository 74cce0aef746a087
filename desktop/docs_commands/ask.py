"""`deskside docs ask COLLECTION QUESTION`: an answer with its sources, checked sentence by sentence."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from desktop.answer_notes import note_text
from desktop.docs_indexing import add_collection
from desktop.pipe import EnginePipe
from desktop.terminal import print_json
from desktop.text import tr

HELP = "docs_ask.help"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("question", metavar="QUESTION", help=tr("docs_ask.question"))
    parser.add_argument("--model", default="", metavar="NAME", help=tr("commands.model"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    found = engine.ask("docs.ask", collection=args.collection, question=args.question, model=args.model)
    if args.json:
        print_json(as_json(found))
    else:
        _show(found)
    return 0


def as_json(found: dict[str, Any]) -> dict[str, Any]:
    """An answer as `--json` prints it: `file` is the name, `path` where it lies; `unsupported` are sentences."""
    citations = [one | {"file": one["name"]} for one in found["citations"]]
    return {
        "question": found["question"],
        "answer": found["text"],
        "refused": found["refused"],
        "citations": citations,
        "unsupported": unsupported(found),
        "strength": found["strength"],
        "passages": [{name: hit[name] for name in ("name", "path", "page", "text", "score")} for hit in found["hits"]],
        "stats": found["stats"],
        "notes": found["notes"],
    }


def unsupported(found: dict[str, Any]) -> list[str]:
    """The sentences of an answer that no passage supports."""
    return [one["text"] for one in found["sentences"] if not one["supported"]]


def _show(found: dict[str, Any]) -> None:
    print(found["text"])
    for one in found["citations"]:
        page = tr("docs_ask.page", page=one["page"]) if one["page"] else ""
        print(f"[{one['number']}] {one['path'] or one['name']}{page}")
    if note_text(found):
        print(note_text(found), file=sys.stderr)
    for sentence in unsupported(found):
        print(tr("docs_ask.unsupported", text=sentence), file=sys.stderr)
