"""`deskside docs sync COLLECTION`: what changed on the disk is read again, and what failed if asked."""

from __future__ import annotations

import argparse

from desktop.docs_indexing import add_collection, finish
from desktop.pipe import EnginePipe
from desktop.text import tr

HELP = "docs.sync"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("--retry", action="store_true", help=tr("docs.retry"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    return finish(engine, args, engine.ask("docs.retry" if args.retry else "docs.sync", collection=args.collection))
