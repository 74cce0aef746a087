"""`deskside docs prove-deleted TEXT...`: searches every byte of the data folder for what should be gone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from desktop.docs_proof import show_proof
from desktop.pipe import EnginePipe
from desktop.text import tr
from engine.api.errors import UserError

HELP = "docs.prove_deleted"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("texts", nargs="*", metavar="TEXT", help=tr("docs.texts"))
    parser.add_argument("--file", action="append", default=[], metavar="FILE", help=tr("docs.held_file"))
    parser.add_argument("--sha256", action="append", default=[], metavar="HASH", help=tr("docs.sha256"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    texts = [sys.stdin.read() if text == "-" else text for text in args.texts]
    texts += [line for name in args.file for line in _lines(Path(name).expanduser())]
    proof = engine.ask("docs.prove_deleted", texts=texts, sha256s=args.sha256)
    return show_proof(proof, args, "")


def _lines(path: Path) -> list[str]:
    """The lines of a text file that the person has outside the data folder."""
    try:
        return [
            line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
    except OSError as error:
        raise UserError(
            "cannot_read_file", f"{path} cannot be read ({error.strerror}).", "Check the name.", path=str(path)
        ) from None
