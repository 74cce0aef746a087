"""`deskside docs text PATH... --out DIR`: what is read of documents, as text files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from desktop.pipe import EnginePipe
from desktop.terminal import Progress, print_json
from desktop.text import error_text, tr
from engine.api.errors import UserError

HELP = "docs_text.help"
NOTHING_READ = 2
COUNTS = ("files", "pages", "characters")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="PATH", help=tr("docs_text.paths"))
    parser.add_argument("--out", required=True, metavar="DIR", help=tr("docs_text.out"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    done = [_read(engine, path, target) for path, target in _targets(args.paths, args.out)]
    total: dict[str, Any] = {name: sum(one[name] for one in done) for name in COUNTS}
    total |= {name: [entry for one in done for entry in one[name]] for name in ("failed", "notes")}
    if args.json:
        print_json(total)
    else:
        _tell(total)
    return 0 if total["files"] or not total["failed"] else NOTHING_READ


def _targets(paths: list[str], out: str) -> list[tuple[Path, Path]]:
    """(what is read, where to). One folder is mirrored as it is, several each under its own name."""
    sources = [Path(path).expanduser().absolute() for path in paths]
    target = Path(out).expanduser().absolute()
    alone = len(sources) == 1
    return [(source, target if alone or not source.is_dir() else target / source.name) for source in sources]


def _read(engine: EnginePipe, path: Path, target: Path) -> dict[str, Any]:
    progress = Progress()

    def show(event: dict[str, Any]) -> None:
        progress.show(event["done"] / max(1, event["total"]), event["text"])

    try:
        return engine.stream("docs.read", show, path=str(path), out=str(target))
    except UserError as error:
        if error.code != "no_such_path":
            raise
        return {**dict.fromkeys(COUNTS, 0), "failed": [{"path": str(path), "error": error.to_json()}], "notes": []}
    finally:
        progress.clear()


def _tell(total: dict[str, Any]) -> None:
    for note in total["notes"]:
        print(f"{note['path']}: {note['text']}", file=sys.stderr)
    for one in total["failed"]:
        words = " ".join(filter(None, error_text(UserError.from_json(one["error"]))))
        print(f"{one['path']}: {words}", file=sys.stderr)
    print(tr("docs_text.done", failed=len(total["failed"]), **{name: total[name] for name in COUNTS}))
