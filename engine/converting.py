"""What the engine does of conversion: it asks short questions of a child process, and starts the jobs.

No module of `convert` is ever loaded here: headers of strange files and numpy stay in processes of their own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.folders import checkpoints_folder, home
from engine.api.hub_names import hub_name, hub_names, with_sources
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
READ = ("source", "model", "a", "b", "base", "of", "imatrix", "text", "report_text")  # paths that must be there
FROM_A_HUB = ("convert", "onnx", "adapter", "merge", "lowrank")  # their sources may be names on a hub
NO_PATHS = ("auto", "builtin")
MAKES_MODELS = ("convert", "quantize", "prune", "adapter", "lowrank")  # files that join the list of models
_starting = threading.Lock()
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


def start(
    core: Core, kind: str, params: dict[str, Any], title: str = "", ready: Callable[[], None] = lambda: None
) -> str:
    """Queue a job of conversion; its id. One that stopped is taken up again, or begun anew with other settings.

    `ready` is called before, once nothing speaks against it, to put into its folder what the job needs.

    Raises UserError unknown_part, convert_lacks, nothing_there, already_there, folder_there,
    output_taken, no_such_place.
    """
    _check_told(kind, params)
    said = _placed(core, kind, params)
    replace = said.pop("replace", False)
    out, folder = _out(said), work_folder(kind, said)
    with _starting:
        _check_place(folder)
        under_way = _make_way(core, kind, said)
        if not under_way:
            if kind != "compare":
                _check_free(out, replace)
            _check_there(said)
            ready()
        return core.runner.start(kind, title or out.name, folder, said)


def _check_free(out: Path, replace: bool) -> None:
    """Nothing is lost that is not to be replaced; a folder with something in it never is.

    Raises UserError already_there, folder_there.
    """
    hint = "Choose another name, or delete it first."
    if out.exists() and not replace:
        raise UserError("already_there", f"{out.name} is there already.", hint, name=out.name)
    if out.is_dir() and any(out.iterdir()):
        text = f"There is a folder {out.name} already, and it is not empty."
        raise UserError("folder_there", text, hint, name=out.name)


def _check_told(kind: str, params: dict[str, Any]) -> None:
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


def _placed(core: Core, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with whole paths; of what lies on a hub its name, and where the hub is."""
    far = kind in FROM_A_HUB and hub_names(params)
    said = params | {name: _whole(params[name]) for name in PATHS if params.get(name)}
    said |= with_sources(
        {name: params[name] for name in ("source", "base", "models") if name in params},
        lambda source: (hub_name(source) if far else "") or _whole(source),
    )
    return said | ({"endpoint": core.settings.hub_endpoint} if far else {})


def _whole(path: Any) -> str:
    return str(Path(str(path)).expanduser().absolute())


def _check_there(said: dict[str, Any]) -> None:
    """What a job reads is there before it begins. Raises UserError nothing_there."""
    far = hub_names(said) if said.get("endpoint") else []
    named = [said.get(name) for name in READ]
    named += [model.get("path") for model in said.get("models") or () if isinstance(model, dict)]
    for path in (one for one in named if one not in far):
        if isinstance(path, str) and path and path not in NO_PATHS and not _exists(path):
            raise UserError("nothing_there", f"There is nothing at {path}.", "Check the path.", path=path)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a name that is too long
        return False


def _make_way(core: Core, kind: str, said: dict[str, Any]) -> bool:
    """Nothing else may be making the same file; what stopped with other settings is forgotten. Whether this very job
    is under way already."""
    made = _made(kind, said)
    for row in core.runner.list():
        if row["kind"] not in KINDS or row["state"] == "done" or _made(row["kind"], row["params"]) != made:
            continue
        under_way = row["state"] in ("running", "queued")
        if row["kind"] == kind and row["params"] == said:
            return under_way
        if under_way:
            raise UserError(
                "output_taken",
                f"Another job is making {made.name} just now ({row['kind']}).",
                "Wait for it, cancel it, or choose another name.",
                name=made.name,
                kind=row["kind"],
            )
        if row["kind"] == kind:
            core.runner.delete(row["job"])
    return False


def _made(kind: str, params: dict[str, Any]) -> Path:
    return work_folder(kind, params) if kind == "compare" else _out(params)


def _check_place(work: Path) -> None:
    """The folder around it is there, or can be made, and takes files of such names. Raises UserError no_such_place."""
    folder = work.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        work.with_name(work.name + ".lock").exists()  # an error where the name is too long
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            "no_such_place",
            f"Nothing can be written into {folder} ({reason}).",
            "Choose another folder or name.",
            folder=str(folder),
            reason=reason,
        ) from None


def work_folder(kind: str, params: dict[str, Any]) -> Path:
    """Where a job's unfinished work lies: beside what it makes, of a comparison (which makes nothing) in the data
    folder. Raises UserError convert_lacks."""
    out = _out(params)
    if kind != "compare":
        return out.with_name(f"{out.name}.{kind}.partial")
    pair = hashlib.sha256(f"{params.get('a')}\n{out}".encode()).hexdigest()[:12]
    return home() / "comparisons" / f"{out.name[:80]}-{pair}.compare.partial"


def _out(params: dict[str, Any]) -> Path:
    """What a job makes; a comparison makes nothing, and is named after its second model."""
    named = params.get("out") or params.get("b")
    if not named:
        raise UserError("convert_lacks", "This needs to be told: out.", "Give it.", names="out")
    return Path(named).expanduser().absolute()


def forget_fetched(row: JobRow) -> None:
    """What was fetched of a checkpoint for a job that is given up goes, unless another one works with it."""
    for name in hub_names(row["params"]) if row["kind"] in FROM_A_HUB else []:
        _forget(name)


def _forget(name: str) -> None:
    from filelock import FileLock, Timeout

    partial = checkpoints_folder() / f"{name}.partial"
    if not partial.exists():
        return
    lock = FileLock(checkpoints_folder() / f"{name}.lock")
    try:
        with lock.acquire(timeout=0):
            shutil.rmtree(partial, ignore_errors=True)
            Path(lock.lock_file).unlink(missing_ok=True)
    except Timeout:
        return


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
