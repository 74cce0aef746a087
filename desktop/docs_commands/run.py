"""`deskside docs run COLLECTION queries.jsonl`: many searches, for measuring: query-id, document-id, score."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from desktop.docs_indexing import add_collection
from desktop.pipe import EnginePipe
from desktop.terminal import Progress, print_json
from desktop.text import tr

HELP = "docs_search.run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("queries", metavar="FILE", help=tr("docs_search.queries"))
    parser.add_argument("--top", type=int, default=100, metavar="N", help=tr("docs_search.top"))
    parser.add_argument("--out", required=True, metavar="FILE", help=tr("docs_search.out"))
    parser.add_argument("--rerank", choices=("auto", "off"), default="", help=tr("docs_search.rerank"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    queries, out = (str(Path(path).expanduser().absolute()) for path in (args.queries, args.out))
    progress = Progress()

    def show(event: dict[str, int]) -> None:
        progress.show(event["done"] / max(1, event["total"]), f"{event['done']} / {event['total']}")

    asked: dict[str, Any] = {"collection": args.collection, "queries": queries, "out": out, "top": args.top}
    done = engine.stream("docs.run", show, **asked, rerank=args.rerank)
    progress.clear()
    if args.json:
        print_json(done)
    else:
        print(tr("docs_search.ran", count=done["queries"], path=args.out))
    return 0
