"""How the command line tells what a search for deleted text found."""

from __future__ import annotations

import argparse
from typing import Any

from desktop.terminal import print_json
from desktop.text import bytes_text, tr

STILL_THERE = 1


def show_proof(proof: dict[str, Any] | None, args: argparse.Namespace, first: str) -> int:
    """Print `first` and the proof. Exit code 1 if anything is still there, or could not be looked at."""
    missing = bool(proof and (proof["found"] or proof["unread"]))
    if args.json:
        print_json(proof or {})
        return STILL_THERE if missing else 0
    if first:
        print(first)
    if proof:
        _tell(proof)
    return STILL_THERE if missing else 0


def _tell(proof: dict[str, Any]) -> None:
    for hit in proof["found"]:
        print(tr("docs.still_there", file=hit["file"], offset=hit["offset"], text=hit["text"]))
    for name in proof["unread"]:
        print(tr("docs.not_looked_at", file=name))
    size = bytes_text(proof["bytes"])
    told = "docs.proved" if not proof["found"] else "docs.not_proved"
    print(tr(told, files=len(proof["searched"]), size=size, needles=proof["needles"]))
