"""`deskside quantize`: a GGUF model in smaller numbers, with a report of what it cost."""

from __future__ import annotations

import argparse

from desktop.conversion_terminal import absolute, print_comparison, print_made, print_tensors, run_job
from desktop.pipe import EnginePipe
from desktop.terminal import print_json
from desktop.text import tr
from engine.api.errors import UserError

HELP = "convert.help_quantize"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.gguf", help=tr("convert.model"))
    parser.add_argument("out", metavar="OUT.gguf", help=tr("convert.out"))
    parser.add_argument("--type", default="Q4_K_M", metavar="TYPE", help=tr("convert.type"))
    parser.add_argument("--imatrix", default="", metavar="auto|FILE", help=tr("convert.imatrix"))
    parser.add_argument("--override", action="append", default=[], metavar="PATTERN=TYPE", help=tr("convert.override"))
    parser.add_argument("--budget", type=float, default=0.0, metavar="GB", help=tr("convert.budget"))
    parser.add_argument("--no-report", action="store_true", help=tr("convert.no_report"))
    parser.add_argument("--dry-run", action="store_true", help=tr("convert.dry_run"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params = {"source": args.source, "out": args.out, "type": args.type, "imatrix": args.imatrix}
    params |= {"overrides": [_override(text) for text in args.override], "budget_bytes": int(args.budget * 1e9)}
    params |= {"report": not args.no_report}
    with EnginePipe() as engine:
        if args.dry_run:
            found = engine.ask("convert.preview", kind="quantize", params=absolute(params))
            print_json(found) if args.json else print_tensors(found)
            return 0
        made = run_job(engine, "quantize", params, args)
    if made and not args.json:
        print_made(made)
        if made.get("comparison"):
            print_comparison(made["comparison"])
    return 0


def _override(text: str) -> list[str]:
    pattern, between, kind = text.rpartition("=")
    if not between or not pattern or not kind:
        raise UserError(
            "bad_override", f"{text!r} is no override.", "Write it as PATTERN=TYPE.", pattern=text, reason="="
        )
    return [pattern, kind]
