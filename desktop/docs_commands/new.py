"""`deskside docs new NAME`: an empty collection."""

from __future__ import annotations

import argparse
from typing import Any

from desktop.pipe import EnginePipe
from desktop.terminal import print_json
from desktop.text import tr

HELP = "docs.new"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=tr("docs.name"))
    parser.add_argument("--embedder", default="", metavar="MODEL", help=tr("docs.embedder"))
    parser.add_argument("--model", default="", metavar="MODEL", help=tr("docs.chat_model"))
    parser.add_argument("--system", default="", metavar="TEXT", help=tr("docs.system"))
    parser.add_argument("--chunk-tokens", type=int, default=0, metavar="N", help=tr("docs.chunk_tokens"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    settings: dict[str, Any] = {"embedder": args.embedder, "chat_model": args.model, "system": args.system}
    made = engine.ask("docs.create", name=args.name, settings=settings | {"chunk_tokens": args.chunk_tokens})
    print_json(made) if args.json else print(tr("docs.made", name=made["name"]))
    return 0
