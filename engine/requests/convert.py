"""Requests about conversion: what something is, what it can become, making it, and the report of what was made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.report_files import report_file
from engine.converting import ask, start, work_folder
from engine.core import Call, Core

LARGEST_REPORT = 16 * 2**20


def look(core: Core, call: Call, source: str) -> dict[str, Any]:
    """What a file, a folder or a name is, and what can be made of it."""
    return ask(call, "look", {"source": source, "endpoint": core.settings.hub_endpoint})


def targets(core: Core, call: Call, source: str) -> dict[str, Any]:
    """Every type a source can be made: bytes, bits, quality to expect, whether it fits here."""
    from engine.machine import hardware
    from models.fit import Loading, estimate
    from models.shape import Shape

    found = ask(call, "look", {"source": source, "targets": True, "endpoint": core.settings.hub_endpoint})
    listed = found.pop("shape").items()
    shape: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in listed}
    there, loading = hardware(core), Loading(context=min(4096, found["context"] or 4096))
    for row in found["targets"]:
        row["fit"] = estimate(Shape(**shape), row["bytes"], there, loading)["fit"]
    return found


def preview(core: Core, call: Call, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """A job's exact plan without running it: every tensor, its type, its bytes, what falls back."""
    if kind not in ("convert", "quantize"):
        raise UserError("no_preview", f"There is no preview of {kind}.", "Start it.", kind=kind)
    return ask(call, kind, {**params, "dry_run": True, "endpoint": core.settings.hub_endpoint})


def begin(core: Core, call: Call, kind: str, params: dict[str, Any], title: str = "") -> dict[str, Any]:
    """Start a job: convert, quantize, imatrix, compare, onnx, adapter, to_hf, merge, prune, lowrank."""
    text = params.get("text")
    if not isinstance(text, dict) or "collection" not in text:
        return {"job": start(core, kind, params, title)}
    return {"job": _begin_with_collection(core, kind, params, title)}


def report(core: Core, call: Call, path: str = "", model: str = "") -> dict[str, Any]:
    """The report that lies beside a model's file, or in its folder. Raises UserError no_report."""
    file = Path(path) if path else _file_of(model)
    beside = report_file(file)
    try:
        if beside.stat().st_size > LARGEST_REPORT:
            raise ValueError("it is too large")
        found = json.loads(beside.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no report")
        return found
    except (OSError, ValueError, RecursionError):
        raise UserError(
            "no_report",
            f"{file.name} has no quality report.",
            "Quantize it here, or compare it with its source.",
            name=file.name,
        ) from None


def _file_of(model: str) -> Path:
    from models.registry import find

    return find(model).path


def _begin_with_collection(core: Core, kind: str, params: dict[str, Any], title: str) -> str:
    """A collection as text: its documents' words go into a file in the job's own folder, which goes when that ends."""
    from engine.documents.collection import row_of

    row = row_of(core.documents.store, str(params["text"]["collection"]))
    file = work_folder(kind, params) / "collection.txt"

    def write() -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8") as out:
            for (said,) in _texts(core, row["number"]):
                out.write(said + "\n\n")

    return start(core, kind, {**params, "text": {"collection": row["name"], "file": str(file)}}, title, write)


def _texts(core: Core, collection: int) -> Iterator[tuple[str]]:
    rows = core.documents.store.rows("SELECT id FROM files WHERE collection = ? AND state = 'indexed'", collection)
    for row in rows:
        for found in core.documents.store.rows("SELECT text FROM texts WHERE file = ?", row["id"]):
            yield (found["text"],)
