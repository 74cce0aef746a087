"""`deskside adapter`: a LoRA folder becomes a GGUF adapter."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import run_job
from desktop.pipe import EnginePipe
from desktop.text import bytes_text, tr

HELP = "convert_shape.help_adapter"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=tr("convert_shape.adapter_source"))
    parser.add_argument("out", metavar="OUT.gguf", help=tr("convert.out"))
    parser.add_argument("--base", required=True, metavar="FOLDER", help=tr("convert_shape.adapter_base"))
    parser.add_argument("--type", default="f16", choices=["f32", "f16", "bf16", "q8_0"], help=tr("convert_shape.kind"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params = {"source": args.source, "out": args.out, "base": args.base, "type": args.type}
    with EnginePipe() as engine:
        made = run_job(engine, "adapter", params, args)
    if made and not args.json:
        print(
            tr("convert_shape.adapter_made", path=made["path"], size=bytes_text(made["bytes"]), count=made["tensors"])
        )
    return 0
