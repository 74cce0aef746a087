"""Jobs of conversion from the command line: started, drawn while they run, told at their end."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from desktop.commands.models import follow
from desktop.pipe import EnginePipe
from desktop.terminal import Progress, print_json, print_table
from desktop.text import bytes_text, find, tr
from engine.api.errors import UserError
from engine.api.hub_names import hub_name

Data = dict[str, Any]


def run_job(engine: EnginePipe, kind: str, params: Data, args: argparse.Namespace) -> Data | None:
    """Start a job and follow it to its result; None if Ctrl-C paused it. Raises its UserError."""
    job = str(engine.ask("convert.start", kind=kind, params=absolute(params))["job"])
    try:
        row = follow(engine, job, Progress())
    except KeyboardInterrupt:
        engine.ask("jobs.pause", job=job)
        print(f"\n{tr('convert.paused')}", file=sys.stderr)
        return None
    if row.get("error"):
        raise UserError.from_json(row["error"])
    if row["state"] != "done":
        raise UserError("job_stopped", "The job was stopped.", "Call it again: it goes on where it was.")
    result: Data = row["result"]
    if args.json:
        print_json(result)
    return result


def absolute(params: Data) -> Data:
    """Paths as the engine needs them: it may work in another folder."""
    paths = ("source", "out", "model", "a", "b", "base", "of", "imatrix", "text")
    words = ("", "auto", "builtin")
    found = {
        n: str(Path(v).expanduser().absolute())
        for n, v in params.items()
        if n in paths and isinstance(v, str) and v not in words and not (n in ("source", "base") and hub_name(v))
    }
    return params | found


def print_tensors(found: Data) -> None:
    """The table of a preview: every tensor, its type, its bytes, why it is of another one."""
    rows = [[tr(f"convert.column_{name}") for name in ("tensor", "shape", "type", "size", "note")]]
    for tensor in found["tensors"]:
        shape = " x ".join(str(length) for length in tensor["shape"])
        kind = tensor.get("type") or f"{tensor['from']} -> {tensor['to']}"
        note = tensor.get("note") or (
            tr("convert.fell_back", wanted=tensor["fallback"]) if tensor.get("fallback") else ""
        )
        rows.append([tensor["name"], shape, kind, bytes_text(tensor["bytes"]), note])
    print_table(rows)
    print_made(found, "convert.would_be")


def print_made(found: Data, key: str = "convert.made") -> None:
    """One line on the file, and what a person should know of it."""
    print(tr(key, path=found["path"], size=bytes_text(found["bytes"]), bits=f"{found.get('bits', 0):.2f}"))
    for note in found.get("notes", []):
        print(f"! {note_text(note)}")
    for lost in found.get("losses", []):
        print("! " + tr("convert.lost", name=lost["name"], infinite=lost["not_finite"], large=lost["too_large"]))


def note_text(note: Data) -> str:
    """A note of a job in the person's language; as it is where it has no words of its own."""
    key = f"convert_notes.{note['code']}"
    return tr(key, **note["values"]) if note["code"] and find(key) else str(note["text"])


def print_comparison(found: Data) -> None:
    """The figures of a comparison, in all and by language, each with the range it is in with 95 %."""
    rows = [["", *(tr(f"convert.figure_{name}") for name in FIGURES)]]
    for name, figures in {"": found, **found.get("languages", {})}.items():
        rows.append([tr(f"convert.language_{name or 'all'}"), *(_figure(figures, one) for one in FIGURES)])
    print_table(rows)
    verdict = found["verdict"] if isinstance(found["verdict"], str) else found["verdict"].get("verdict", "")
    print(tr(f"convert.verdict_{verdict}"))


FIGURES = ("kl_mean", "kl_p999", "top1", "ppl_a", "ppl_b")


def _figure(figures: Data, name: str) -> str:
    value = figures.get(name)
    if value is None:
        return "-"
    low, high = figures.get(f"{name}_low"), figures.get(f"{name}_high")
    return f"{value:.4g}" + (f" ({low:.4g} - {high:.4g})" if low is not None and high is not None else "")
