"""`deskside doctor`: what Deskside finds on this machine."""

from __future__ import annotations

import argparse
from typing import Any

from desktop.pipe import EnginePipe
from desktop.terminal import print_json, print_tree
from desktop.text import tr

HELP = "commands.doctor"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    with EnginePipe() as engine:
        report = engine.ask("engine.doctor")
    if args.json:
        print_json(report)
    else:
        print_report(report)
    return 0


def print_report(report: dict[str, Any]) -> None:
    """What llama.cpp can use and what is in the way, in plain words, then every fact."""
    for finding in (*report.pop("abilities"), *report.pop("problems")):
        print(tr(f"doctor.{finding['code']}", **finding["values"]))
    print()
    print_tree(report)
