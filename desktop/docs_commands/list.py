"""`deskside docs list [COLLECTION]`: all collections, or the files of one."""

from __future__ import annotations

import argparse
from typing import Any

from desktop.docs_indexing import tell
from desktop.pipe import EnginePipe
from desktop.terminal import print_json, print_table
from desktop.text import bytes_text, count_text, tr

HELP = "docs.list"
PAGE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", nargs="?", default="", metavar="COLLECTION", help=tr("docs.list_collection"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    return show_files(engine, args) if args.collection else show_collections(engine, args)


def show_collections(engine: EnginePipe, args: argparse.Namespace) -> int:
    rows = engine.ask("docs.collections")["collections"]
    if args.json:
        print_json(rows)
        return 0
    names = ("files", "indexed", "failed", "waiting", "pages", "chunks")
    head = [tr(f"docs.column_{name}") for name in (*names, "embedder", "name")]
    cells = [
        [count_text(row[n]) for n in names] + [row["embedder"] or tr("docs.words_only"), row["name"]] for row in rows
    ]
    print_table([head, *cells])
    return 0


def show_files(engine: EnginePipe, args: argparse.Namespace) -> int:
    rows: list[dict[str, Any]] = []
    while True:
        page = engine.ask("docs.files", collection=args.collection, offset=len(rows), limit=PAGE)
        rows += page["files"]
        if len(rows) >= page["total"] or not page["files"]:
            break
    if args.json:
        print_json(rows)
        return 0
    head = [tr(f"docs.column_{name}") for name in ("id", "state", "pages", "size", "path")]
    print_table([head, *map(_cells, rows)])
    return 0


def _cells(row: dict[str, Any]) -> list[str]:
    path = " ".join(filter(None, (row["path"], tell(row["error"]))))
    state = tr(f"docs.state_{row['state']}")
    return [str(row["id"]), state, count_text(row["pages"]), bytes_text(row["bytes"]), path]
