"""`deskside export onnx`: a checkpoint becomes ONNX files that were compared with it."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import run_job
from desktop.pipe import EnginePipe
from desktop.text import bytes_text, tr

HELP = "convert.help_export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    formats = parser.add_subparsers(dest="format", metavar="FORMAT", required=True)
    onnx = formats.add_parser("onnx", help=tr("convert.help_onnx"), description=tr("convert.help_onnx"))
    onnx.add_argument("source", metavar="SOURCE", help=tr("convert.source"))
    onnx.add_argument("out", metavar="DIR", help=tr("convert.out_folder"))
    onnx.add_argument("--int8", action="store_true", help=tr("convert.int8"))
    onnx.add_argument("--int4", action="store_true", help=tr("convert.int4"))
    onnx.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params = {"source": args.source, "out": args.out, "int8": args.int8, "int4": args.int4}
    with EnginePipe() as engine:
        made = run_job(engine, "onnx", params, args)
    if made and not args.json:
        print(tr("convert.onnx_made", path=made["folder"], size=bytes_text(made["bytes"])))
        for name, value in made["agreement"].items():
            print(f"  {name}: {value}")
    return 0
