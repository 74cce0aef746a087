"""`deskside docs delete COLLECTION FILE...`: files out of a collection, for good; those on the disk stay."""

from __future__ import annotations

import argparse
from pathlib import Path

from desktop.docs_indexing import add_collection
from desktop.docs_proof import show_proof
from desktop.pipe import EnginePipe
from desktop.text import tr
from engine.api.errors import UserError

HELP = "docs.delete"
PAGE = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("files", nargs="+", metavar="FILE", help=tr("docs.files"))
    parser.add_argument("--prove", action="store_true", help=tr("docs.prove"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    known = _known(engine, args.collection)
    ids = sorted({one for text in args.files for one in _ids(known, text)})
    gone = engine.ask("docs.delete", collection=args.collection, files=ids, prove=args.prove)
    return show_proof(gone.get("proof"), args, tr("docs.deleted", count=len(ids)))


def _known(engine: EnginePipe, collection: str) -> dict[str, list[int]]:
    """id, name and path of each file -> the ids meant by it."""
    known: dict[str, list[int]] = {}
    offset, total = 0, 1
    while offset < total:
        page = engine.ask("docs.files", collection=collection, offset=offset, limit=PAGE)
        for row in page["files"]:
            for name in {str(row["id"]), row["name"], row["path"]}:
                known.setdefault(name, []).append(row["id"])
        offset, total = offset + PAGE, page["total"]
    return known


def _ids(known: dict[str, list[int]], text: str) -> list[int]:
    found = known.get(text) or known.get(str(Path(text).expanduser().absolute()))
    if not found:
        raise UserError("no_such_document", f"There is no {text} in this collection.", "List its files.", name=text)
    return found
