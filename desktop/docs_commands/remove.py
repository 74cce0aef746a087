"""`deskside docs remove COLLECTION`: the whole collection, for good."""

from __future__ import annotations

import argparse

from desktop.docs_indexing import add_collection
from desktop.docs_proof import show_proof
from desktop.pipe import EnginePipe
from desktop.text import tr

HELP = "docs.remove"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("--prove", action="store_true", help=tr("docs.prove"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    gone = engine.ask("docs.remove", collection=args.collection, prove=args.prove)
    return show_proof(gone.get("proof"), args, tr("docs.removed", name=args.collection))
