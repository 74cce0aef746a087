"""`deskside chats`: the stored conversations."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from desktop.pipe import EnginePipe
from desktop.terminal import print_json, print_table
from desktop.text import tr
from engine.api.errors import UserError

HELP = "commands.chats"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    adder = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    parsers = {
        name: adder.add_parser(name, help=tr(f"commands.chats_{name}"), description=tr(f"commands.chats_{name}"))
        for name in ACTIONS
    }
    parsers["search"].add_argument("query", metavar="TEXT", help=tr("commands.query"))
    parsers["search"].add_argument("--limit", type=int, default=20, metavar="N", help=tr("commands.limit"))
    parsers["export"].add_argument("chats", nargs="*", metavar="CHAT", help=tr("commands.chat_ids"))
    parsers["export"].add_argument("--format", choices=("markdown", "json"), default="", help=tr("commands.format"))
    parsers["export"].add_argument("--out", metavar="FILE", default="", help=tr("commands.out"))
    parsers["import"].add_argument("file", metavar="FILE", help=tr("commands.import_file"))
    for one in parsers.values():
        one.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    with EnginePipe() as engine:
        return ACTIONS[args.action](engine, args)


def show_list(engine: EnginePipe, args: argparse.Namespace) -> int:
    chats = engine.ask("chats.list")["chats"]
    if args.json:
        print_json(chats)
    else:
        print_table([[chat["id"], _day(chat["updated"]), chat["title"]] for chat in chats])
    return 0


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def search(engine: EnginePipe, args: argparse.Namespace) -> int:
    hits = engine.ask("chats.search", query=args.query, limit=args.limit)["hits"]
    if args.json:
        print_json(hits)
    elif hits:
        print_table([[hit["chat"], hit["title"], hit["snippet"]] for hit in hits])
    else:
        print(tr("commands.nothing_found"), file=sys.stderr)
    return 0


def export(engine: EnginePipe, args: argparse.Namespace) -> int:
    """Markdown unless `--json` or `--format json` asks otherwise; to stdout unless `--out` names a file."""
    asked = {"chats": args.chats} if args.chats else {}
    form = args.format or ("json" if args.json else "markdown")
    text = engine.ask("chats.export", format=form, **asked)["text"]
    if not args.out:
        sys.stdout.write(text)
        return 0
    try:
        Path(args.out).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            "cannot_write_to",
            f"{args.out} cannot be written: {error.strerror}.",
            "Choose another place.",
            path=args.out,
            reason=str(error.strerror),
        ) from None
    return 0


def import_file(engine: EnginePipe, args: argparse.Namespace) -> int:
    done = engine.ask("chats.import", path=str(Path(args.file).expanduser().absolute()))
    if args.json:
        print_json(done)
    else:
        print(tr("commands.imported", count=len(done["chats"]), skipped=done["skipped"]))
    return 0


ACTIONS = {"list": show_list, "search": search, "export": export, "import": import_file}
