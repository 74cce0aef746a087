"""`deskside to-hf`: a GGUF model becomes a Hugging Face checkpoint."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import note_text, run_job
from desktop.pipe import EnginePipe
from desktop.text import bytes_text, tr

HELP = "convert_shape.help_to_hf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.gguf", help=tr("convert.model"))
    parser.add_argument("out", metavar="OUT", help=tr("convert.out_folder"))
    parser.add_argument("--type", default="f16", choices=["f32", "f16", "bf16"], help=tr("convert_shape.kind"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params = {"source": args.source, "out": args.out, "type": args.type}
    with EnginePipe() as engine:
        made = run_job(engine, "to_hf", params, args)
    if not made or args.json:
        return 0
    print(tr("convert_shape.written", path=made["path"], size=bytes_text(made["bytes"])))
    for note in made["notes"]:
        print(f"! {note_text(note)}")
    return 0
