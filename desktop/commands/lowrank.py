"""`deskside lowrank`: matrices of a lower rank, or what quantizing lost as an adapter."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import note_text, print_comparison, run_job
from desktop.pipe import EnginePipe
from desktop.text import bytes_text, tr

HELP = "convert_shape.help_lowrank"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=tr("convert_shape.source_or_model"))
    parser.add_argument("out", metavar="OUT", help=tr("convert_shape.lowrank_out"))
    parser.add_argument("--rank", type=float, required=True, metavar="N|SHARE", help=tr("convert_shape.rank"))
    parser.add_argument("--of", default="", metavar="QUANTIZED.gguf", help=tr("convert_shape.of"))
    parser.add_argument("--imatrix", default="", metavar="FILE", help=tr("convert_shape.lowrank_imatrix"))
    parser.add_argument("--pattern", default="", metavar="PATTERN", help=tr("convert_shape.pattern"))
    parser.add_argument("--no-report", action="store_true", help=tr("convert.no_report"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params = {"source": args.source, "out": args.out, "rank": args.rank, "of": args.of, "imatrix": args.imatrix}
    params |= {"pattern": args.pattern, "report": not args.no_report}
    with EnginePipe() as engine:
        made = run_job(engine, "lowrank", {name: value for name, value in params.items() if value != ""}, args)
    if not made or args.json:
        return 0
    print(tr("convert_shape.written", path=made["path"], size=bytes_text(made["bytes"])))
    for note in made["notes"]:
        print(f"! {note_text(note)}")
    if made.get("comparison"):
        print_comparison(made["comparison"])
    return 0
