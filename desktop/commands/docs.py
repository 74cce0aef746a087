"""`deskside docs`: collections of documents; each action is a file of `docs_commands/`."""

from __future__ import annotations

import argparse

from desktop.pipe import EnginePipe
from desktop.text import tr
from engine.api.parts import load_part, part_names

HELP = "docs.help"
ACTIONS = "desktop.docs_commands"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    adder = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name in part_names(ACTIONS):
        part = load_part(ACTIONS, name)
        one = adder.add_parser(name.replace("_", "-"), help=tr(part.HELP), description=tr(part.HELP))
        part.add_arguments(one)
        one.add_argument("--json", action="store_true", help=tr("commands.json"))
        one.set_defaults(part=name)


def run(args: argparse.Namespace) -> int:
    with EnginePipe() as engine:
        return int(load_part(ACTIONS, args.part).run(engine, args))
