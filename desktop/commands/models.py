"""`deskside models`: what is here, what can be had, and whether it fits this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from desktop.pipe import EnginePipe
from desktop.remote_terminal import add_remote, add_remote_arguments
from desktop.terminal import Progress, dim, print_json, print_table, print_tree
from desktop.text import bytes_text, count_text, duration_text, part_text, speed_text, tr
from engine.api.errors import UserError

HELP = "commands.models"
ENDED = ("done", "failed", "cancelled", "interrupted")
Data = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    adder = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action in ACTIONS:
        one = adder.add_parser(
            action, help=tr(f"commands.models_{word(action)}"), description=tr(f"commands.models_{word(action)}")
        )
        if action == "add-remote":
            add_remote_arguments(one)
        elif action != "list":
            one.add_argument("name", metavar="PATH" if action == "add" else "NAME", help=tr("commands.name"))
        if action == "add":
            one.add_argument("--copy", action="store_true", help=tr("commands.copy"))
        if action == "fit":
            one.add_argument("--context", type=int, metavar="N", help=tr("commands.context"))
        one.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    with EnginePipe() as engine:
        return ACTIONS[args.action](engine, args)


def show_list(engine: EnginePipe, args: argparse.Namespace) -> int:
    rows = engine.ask("models.list")["models"]
    if args.json:
        print_json(rows)
        return 0
    head = [tr(f"commands.column_{name}") for name in ("model", "here", "size", "fit", "context", "licence", "name")]
    print_table([head, *(_cells(row) for row in rows)])
    return 0


def _cells(row: Data) -> list[str]:
    here = tr("commands.problem") if row.get("problem") else tr("commands.yes") if row["installed"] else ""
    fit = tr(f"commands.fit_{row['fit']['fit']}")
    context = count_text(row["context"]) if row["context"] else ""
    size = tr("remote.badge") if row["source"] == "remote" else bytes_text(row["bytes"])
    return [row["id"], here, size, fit, context, row["licence"], row["name"]]


def show_one(engine: EnginePipe, args: argparse.Namespace) -> int:
    shown = engine.ask("models.show", model=args.name)
    if args.json:
        print_json(shown)
    else:
        print_tree(shown["row"])
        print_tree(shown["details"])
    return 0


def show_fit(engine: EnginePipe, args: argparse.Namespace) -> int:
    asked = {} if args.context is None else {"context": args.context}
    report = engine.ask("models.fit", model=args.name, **asked)
    if args.json:
        print_json(report)
        return 0
    print(tr(f"commands.fit_{report['fit']}"))
    seldom = ("projector",) if report["projector"] else ()
    memory = ("weights", "kv_cache", "compute", *seldom, "total", "available")
    rows = [[tr(f"commands.memory_{name}"), bytes_text(report[name])] for name in memory]
    rows += [[tr(f"commands.memory_{name}"), str(report[name])] for name in ("context", "largest_context", "device")]
    print_table(rows)
    return 0


def pull(engine: EnginePipe, args: argparse.Namespace) -> int:
    """Download as a job of the engine and follow it to its end. Ctrl-C leaves it to be resumed."""
    job = engine.ask("models.pull", model=args.name).get("job")
    if not job:
        print(tr("commands.already_here", name=args.name))
        return 0
    try:
        row = follow(engine, str(job), Progress())
    except KeyboardInterrupt:
        engine.ask("jobs.pause", job=job)
        print(f"\n{tr('commands.paused', name=args.name)}")
        return 0
    if row.get("error"):
        raise UserError.from_json(row["error"])
    if row["state"] != "done":
        raise UserError("pull_stopped", f"The download of {args.name} stopped.", "Call it again.", name=args.name)
    print_json(row) if args.json else print(tr("commands.pulled", name=args.name))
    return 0


def follow(engine: EnginePipe, job: str, progress: Progress) -> Data:
    """Draw the job's progress; its last row."""
    row = next((row for row in engine.ask("jobs.list")["jobs"] if row["job"] == job), None)
    events = engine.broadcasts()
    while row is None or row["state"] not in ENDED:
        if row is not None:
            progress.show(row["done"] / max(1, row["total"]), progress_text(row))
        row = _next_row(events, job, progress)
    progress.clear()
    return dict(row)


def _next_row(events: Iterator[Data], job: str, progress: Progress) -> Data:
    """The job's next row; what it has to say in between is printed."""
    mine = (event for event in events if event.get("job") == job and event.get("event") in ("job", "job_note"))
    event = next(mine)
    while event["event"] == "job_note":
        progress.clear()
        stage = event["level"] == "stage"
        print(dim(tr(f"convert.stage_{event['text']}") if stage else event["text"]), file=sys.stderr)
        event = next(mine)
    return event


def progress_text(row: Data) -> str:
    """ "12 / 98 MB · 8.1 MB/s · 11 s": done, speed and time left of a job."""
    if row.get("unit") != "bytes":
        text = str(row.get("text") or row["title"])
        return f"{text} · {row['done']} / {row['total']}" if row.get("total", 0) > 1 else text
    parts = [part_text(row["done"], row["total"])]
    if row.get("speed"):
        parts.append(speed_text(row["speed"]))
    if row.get("left_s") is not None:
        parts.append(duration_text(row["left_s"]))
    return " · ".join(parts)


def add(engine: EnginePipe, args: argparse.Namespace) -> int:
    path = Path(args.name).expanduser().absolute()
    if not path.exists():
        raise UserError("no_such_path", f"There is no {path}.", "Check the path.", path=str(path))
    added = engine.ask("models.add", path=str(path), copy=args.copy)["models"]
    if args.json:
        print_json(added)
        return 0
    for row in added:
        print(tr("commands.added", name=row["id"]))
    return 0


def remove(engine: EnginePipe, args: argparse.Namespace) -> int:
    engine.ask("models.remove", model=args.name)
    print_json({}) if args.json else print(tr("commands.removed", name=args.name))
    return 0


def word(action: str) -> str:
    """An action's name as keys of words are written."""
    return action.replace("-", "_")


ACTIONS = {
    "list": show_list, "show": show_one, "pull": pull, "add": add, "add-remote": add_remote, "remove": remove,
    "fit": show_fit,
}  # fmt: skip
