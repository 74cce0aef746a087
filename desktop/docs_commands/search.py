"""`deskside docs search COLLECTION QUERY`: the passages that fit best, with file, page and score."""

from __future__ import annotations

import argparse
from typing import Any

from desktop.docs_indexing import add_collection
from desktop.pipe import EnginePipe
from desktop.terminal import print_json
from desktop.text import tr

HELP = "docs_search.help"
SHOWN = 300  # characters of a passage


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("query", metavar="QUERY", help=tr("docs_search.query"))
    parser.add_argument("--top", type=int, default=10, metavar="N", help=tr("docs_search.top"))
    parser.add_argument("--rerank", choices=("auto", "off"), default="", help=tr("docs_search.rerank"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    found = engine.ask("docs.search", collection=args.collection, query=args.query, top=args.top, rerank=args.rerank)
    if args.json:
        print_json({**found, "hits": [as_json(hit) for hit in found["hits"]]})
    else:
        _show(found)
    return 0


def as_json(hit: dict[str, Any]) -> dict[str, Any]:
    """A hit as `--json` prints it: `file` is the name, `path` where it lies, `position` characters of its text."""
    return hit | {"file": hit["name"], "position": [hit["start"], hit["end"]]}


def _show(found: dict[str, Any]) -> None:
    if not found["hits"]:
        print(tr("docs_search.nothing"))
    for number, hit in enumerate(found["hits"], 1):
        page = tr("docs_search.page", page=hit["page"]) if hit["page"] else ""
        text = " ".join(hit["text"].split())
        print(f"{number}. {hit['path'] or hit['name']}{page}  {hit['score']:.3f}")
        print(f"   {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}")
