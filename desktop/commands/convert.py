"""`deskside convert`: a Hugging Face checkpoint becomes a GGUF model."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import absolute, print_made, print_tensors, run_job
from desktop.pipe import EnginePipe
from desktop.terminal import print_json
from desktop.text import tr

HELP = "convert.help_convert"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=tr("convert_hub.source"))
    parser.add_argument("out", metavar="OUT.gguf", help=tr("convert.out"))
    parser.add_argument("--type", default="Q8_0", metavar="TYPE", help=tr("convert.type"))
    parser.add_argument("--imatrix", default="", metavar="auto|FILE", help=tr("convert.imatrix"))
    parser.add_argument("--split", type=int, default=0, metavar="BYTES", help=tr("convert.split"))
    parser.add_argument("--projector", action="store_true", help=tr("convert.projector"))
    parser.add_argument("--no-report", action="store_true", help=tr("convert.no_report"))
    parser.add_argument("--any-vocabulary", action="store_true", help=tr("convert.any_vocabulary"))
    parser.add_argument("--remove-source", action="store_true", help=tr("convert_hub.remove_source"))
    parser.add_argument("--dry-run", action="store_true", help=tr("convert.dry_run"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params = {"source": args.source, "out": args.out, "type": args.type, "imatrix": args.imatrix}
    params |= {"split_bytes": args.split, "report": not args.no_report, "override_vocabulary": args.any_vocabulary}
    params |= {"projector": args.projector, "keep_source": not args.remove_source}
    with EnginePipe() as engine:
        if args.dry_run:
            found = engine.ask("convert.preview", kind="convert", params=absolute(params))
            print_json(found) if args.json else print_tensors(found)
            return 0
        made = run_job(engine, "convert", params, args)
    if made and not args.json:
        print_made(made)
        if fetched := made.get("source"):
            key = "convert_hub.kept" if fetched["kept"] else "convert_hub.removed"
            print(tr(key, repo=fetched["repo"], folder=fetched["folder"]))
    return 0
