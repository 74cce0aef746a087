"""`deskside prune`: a model without the blocks that matter least, and what that cost."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import print_comparison, print_made, run_job
from desktop.pipe import EnginePipe
from desktop.text import tr
from engine.api.errors import UserError

HELP = "convert_shape.help_prune"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="IN.gguf", help=tr("convert.model"))
    parser.add_argument("out", metavar="OUT.gguf", help=tr("convert.out"))
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--count", type=int, metavar="N", help=tr("convert_shape.count"))
    which.add_argument("--layers", metavar="N,N,…", help=tr("convert_shape.layers"))
    parser.add_argument("--type", default="", metavar="TYPE", help=tr("convert_shape.type_after"))
    parser.add_argument("--text", default="builtin", metavar="FILE", help=tr("convert.text"))
    parser.add_argument("--no-report", action="store_true", help=tr("convert.no_report"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    layers = _numbers(args.layers) if args.layers is not None else args.count
    params = {"model": args.model, "out": args.out, "layers": layers, "type": args.type, "text": args.text}
    with EnginePipe() as engine:
        made = run_job(engine, "prune", params | {"report": not args.no_report}, args)
    if made and not args.json:
        print(tr("convert_shape.left_out", layers=", ".join(map(str, made["layers"])), blocks=made["blocks"]))
        print_made(made)
        if made.get("comparison"):
            print_comparison(made["comparison"])
    return 0


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            "bad_numbers", f"{text!r} is no list of numbers.", "Write it as 7,8,12.", given=text[:100]
        ) from None
