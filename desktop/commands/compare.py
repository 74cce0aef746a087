"""`deskside compare`: how far two models' predictions are from each other on a text."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import print_comparison, run_job
from desktop.pipe import EnginePipe
from desktop.text import tr

HELP = "convert.help_compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A.gguf", help=tr("convert.compare_a"))
    parser.add_argument("b", metavar="B.gguf", help=tr("convert.compare_b"))
    parser.add_argument("--text", default="builtin", metavar="FILE", help=tr("convert.text"))
    parser.add_argument("--chunks", type=int, default=0, metavar="N", help=tr("convert.chunks"))
    parser.add_argument("--context", type=int, default=512, metavar="N", help=tr("convert.chunk_context"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params = {"a": args.a, "b": args.b, "text": args.text, "chunks": args.chunks, "context": args.context}
    with EnginePipe() as engine:
        found = run_job(engine, "compare", params, args)
    if found and not args.json:
        print_comparison(found)
    return 0
