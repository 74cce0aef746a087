"""`deskside docs add COLLECTION PATH...`: files and folders; folders are watched from then on."""

from __future__ import annotations

import argparse
from pathlib import Path

from desktop.docs_indexing import add_collection, finish
from desktop.pipe import EnginePipe
from desktop.text import tr

HELP = "docs.add"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("paths", nargs="+", metavar="PATH", help=tr("docs.paths"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    paths = [str(Path(path).expanduser().absolute()) for path in args.paths]
    return finish(engine, args, engine.ask("docs.add", collection=args.collection, paths=paths))
