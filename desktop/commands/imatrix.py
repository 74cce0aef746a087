"""`deskside imatrix`: which inputs of a model's weights matter, measured on a text."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import run_job
from desktop.pipe import EnginePipe
from desktop.text import tr

HELP = "convert.help_imatrix"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.gguf", help=tr("convert.model"))
    parser.add_argument("out", metavar="OUT.gguf", help=tr("convert.imatrix_out"))
    parser.add_argument("--text", default="builtin", metavar="FILE", help=tr("convert.text"))
    parser.add_argument("--collection", default="", metavar="NAME", help=tr("convert.collection"))
    parser.add_argument("--chunks", type=int, default=0, metavar="N", help=tr("convert.chunks"))
    parser.add_argument("--context", type=int, default=512, metavar="N", help=tr("convert.chunk_context"))
    parser.add_argument("--merge", action="append", default=[], metavar="FILE", help=tr("convert.merge_imatrix"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    text = {"collection": args.collection} if args.collection else args.text
    params = {"model": args.model, "out": args.out, "text": text, "chunks": args.chunks, "context": args.context}
    with EnginePipe() as engine:
        made = run_job(engine, "imatrix", params | {"merge": args.merge}, args)
    if made and not args.json:
        print(tr("convert.imatrix_made", path=made["path"], chunks=made["chunks"], tensors=made["tensors"]))
        if not made["complete"]:
            print("! " + tr("convert.imatrix_incomplete", names=", ".join(made["missing"][:5])))
    return 0
