"""What the engine does of conversion: it asks short questions of a child process, and starts the jobs.

No module of `convert` is ever loaded here: headers of strange files and numpy stay in processes of their own.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.messages import JobRow
from engine.running import Apart, log_file

if TYPE_CHECKING:
    from engine.core import Call, Core

# What each job needs to be told, and where it writes: the folder of unfinished work lies beside that.
KINDS: dict[str, tuple[str, ...]] = {
    "convert": ("source", "out", "type"),
    "quantize": ("source", "out", "type"),
    "imatrix": ("model", "out", "text"),
    "compare": ("a", "b", "text"),
    "onnx": ("source", "out"),
    "adapter": ("source", "out", "base"),
    "to_hf": ("source", "out"),
    "merge": ("method", "models", "out"),
    "prune": ("model", "out", "layers"),
    "lowrank": ("source", "out", "rank"),
}
PATHS = ("source", "out", "model", "a", "b", "base", "of")
MAKES_MODELS = ("convert", "quantize", "prune", "adapter", "lowrank")  # files that join the list of models
ASK_S = 120.0  # of a question; what takes longer is a job


def ask(call: Call, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """Run a short job in a child process and wait for its result. Raises its UserError, Cancelled, ask_took_long."""
    with tempfile.TemporaryDirectory(prefix="deskside-") as folder:
        row = {"id": uuid.uuid4().hex, "kind": kind, "folder": str(Path(folder) / "work"), "params": json.dumps(params)}
        running = Apart(row)
        ended = threading.Event()
        threading.Thread(target=_watch, args=(call, running, ended), daemon=True).start()
        try:
            end = running.follow(row, lambda event: None)
        finally:
            ended.set()
            log_file(str(row["id"])).unlink(missing_ok=True)
    if end.get("state") == "done":
        found: dict[str, Any] = end["result"]
        return found
    if call.cancelled.is_set():
        raise Cancelled
    if end.get("error"):
        raise UserError.from_json(end["error"])
    raise UserError("ask_failed", "This could not be looked at.", "Try again; the log says more.")


def _watch(call: Call, running: Apart, ended: threading.Event) -> None:
    """Stop the child where nobody waits for it any more."""
    until = time.monotonic() + ASK_S
    while not ended.wait(0.1):
        if call.cancelled.is_set() or time.monotonic() > until:
            running.stop("cancelled")
            return


def start(core: Core, kind: str, params: dict[str, Any], title: str = "") -> str:
    """Queue a job of conversion; its id. Raises UserError unknown_part, convert_lacks, already_there."""
    if kind not in KINDS:
        raise UserError(
            "unknown_part",
            f"There is no '{kind}' in conversion.",
            f"Known: {', '.join(KINDS)}.",
            name=kind,
            known=", ".join(KINDS),
        )
    lost = [name for name in KINDS[kind] if not params.get(name)]
    if lost:
        raise UserError(
            "convert_lacks", f"{kind} needs to be told: {', '.join(lost)}.", "Give it.", names=", ".join(lost)
        )
    said = dict(params) | {name: str(Path(params[name]).expanduser().absolute()) for name in PATHS if params.get(name)}
    out = _out(said)
    if out.exists() and not said.pop("replace", False) and kind != "compare":
        raise UserError(
            "already_there", f"{out.name} is there already.", "Choose another name, or delete it first.", name=out.name
        )
    return core.runner.start(kind, title or out.name, work_folder(kind, said), said)


def work_folder(kind: str, params: dict[str, Any]) -> Path:
    """Where a job's unfinished work lies: beside what it makes. Raises UserError convert_lacks."""
    out = _out(params)
    return out.with_name(f"{out.name}.{kind}.partial")


def _out(params: dict[str, Any]) -> Path:
    """What a job makes; a comparison makes nothing, and is named after its second model."""
    named = params.get("out") or params.get("b")
    if not named:
        raise UserError("convert_lacks", "This needs to be told: out.", "Give it.", names="out")
    return Path(named).expanduser().absolute()


def publish(core: Core, row: JobRow) -> None:
    """Put what a finished job made into the list of models."""
    if row["state"] != "done" or row["kind"] not in MAKES_MODELS or Path(row["params"]["out"]).is_dir():
        return
    from models.registry import add_file

    try:
        add_file(Path(row["params"]["out"]))
    except UserError as error:
        core.broadcast("job_note", job=row["job"], text=str(error), level="warning")
    core.broadcast("models")
