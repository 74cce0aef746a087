"""How the command line follows the index job of a collection to its end."""

from __future__ import annotations

import argparse
from typing import Any

from desktop.commands.models import follow
from desktop.pipe import EnginePipe
from desktop.terminal import Progress, print_json
from desktop.text import tr
from engine.api.errors import UserError

STOPPED = 130


def add_collection(parser: argparse.ArgumentParser) -> None:
    """The argument every action about one collection has."""
    parser.add_argument("collection", metavar="COLLECTION", help=tr("docs.collection"))


def finish(engine: EnginePipe, args: argparse.Namespace, asked: dict[str, Any]) -> int:
    """Follow the job that a request started; print what came of it. Ctrl-C leaves it to be gone on with.

    Exit code 0 also if some files could not be read: they are told.
    """
    if not asked["job"]:
        report(engine, args, asked | {"seconds": 0.0})
        return 0
    try:
        row = follow(engine, asked["job"], Progress())
    except KeyboardInterrupt:
        engine.ask("jobs.pause", job=asked["job"])
        print(tr("docs.paused", collection=args.collection))
        return STOPPED
    if row.get("error"):
        raise UserError.from_json(row["error"])
    if row["state"] != "done":
        raise UserError("index_stopped", "Indexing was stopped.", "Start it again.", collection=args.collection)
    report(engine, args, asked | {"seconds": row["seconds"], "result": row["result"]})
    return 0


def report(engine: EnginePipe, args: argparse.Namespace, done: dict[str, Any]) -> None:
    """What an index job did, and the files it could not read."""
    failed = engine.ask("docs.files", collection=args.collection, state="failed")["files"]
    if args.json:
        print_json(done | {"failures": [{"path": one["path"], "error": one["error"]} for one in failed]})
        return
    print(tr("docs.indexed", **{name: done["result"][name] for name in ("indexed", "pages", "chunks")}))
    for one in failed:
        print(f"{one['path']}: {tell(one['error'])}")


def tell(error: dict[str, Any] | None) -> str:
    """A stored error in the person's language."""
    from desktop.text import error_text

    return " ".join(filter(None, error_text(UserError.from_json(error)))) if error else ""
