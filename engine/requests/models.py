"""Requests about models: what there is, what fits, getting, adding, removing, loading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.api.messages import FitReport
from engine.chosen_draft import with_draft
from engine.core import Call, Core
from engine.loading import memory_of, using
from engine.machine import hardware
from engine.remotes.addresses import find as find_remote
from engine.remotes.addresses import is_remote
from engine.remotes.rows import remote_details, remote_row, remote_rows


def list_models(core: Core, call: Call) -> dict[str, Any]:
    """The catalogue and everything installed, with fit, and the remote models that were added."""
    from models.rows import rows

    return {"models": rows(hardware(core), memory_of(core.settings)) + remote_rows()}


def show(core: Core, call: Call, model: str) -> dict[str, Any]:
    """One model in detail."""
    from models.rows import show as details

    if is_remote(model):
        return remote_details(model)
    return details(model, hardware(core), memory_of(core.settings))


def fit(
    core: Core,
    call: Call,
    model: str,
    context: int = 0,
    kv_type: str = "",
    flash_attention: str = "",
    extend_context: bool | None = None,
    parallel: int = 0,
    draft_model: str | None = None,
) -> FitReport:
    """Whether a model fits here, and its draft beside it; as the settings say, but for what is given.

    Raises UserError bad_setting.
    """
    from models.rows import fit_of

    asked = {"context_size": context, "kv_type": kv_type, "flash_attention": flash_attention, "parallel": parallel}
    given = {name: value for name, value in asked.items() if value}
    if extend_context is not None:
        given["extend_context"] = extend_context
    if draft_model is not None:
        given["draft_model"] = draft_model
    chosen = core.settings.with_values(given)
    if is_remote(model):
        return remote_row(model)["fit"]
    return with_draft(fit_of(model, hardware(core), memory_of(chosen)), chosen, model)


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
    """Add a GGUF file, an encoder's folder, or all in a folder, by reference or copied."""
    from models.registry import add_file
    from models.rows import installed_rows

    added = {model.id for model in add_file(Path(path), copy)}
    core.broadcast("models")
    here = installed_rows(hardware(core), memory_of(core.settings))
    return {"models": [row for row in here if row["id"] in added]}


def found(core: Core, call: Call) -> dict[str, Any]:
    """Models of other programs on this disk that could be added."""
    from models.found import found as look

    return {"found": look()}


def remove(core: Core, call: Call, model: str) -> dict[str, Any]:
    """Delete an installed model; of a referenced file only the reference."""
    from engine.requests.remotes import remove_model
    from models.registry import remove as forget

    if is_remote(model):
        remove_model(core, call, model)
        return {}
    core.residents.release(model)
    forget(model)
    core.broadcast("models")
    return {}


def load(core: Core, call: Call, model: str) -> dict[str, Any]:
    """Load a model now, so that the first question need not wait."""
    if is_remote(model):  # is in nobody's memory here
        return {"model": model, "context": find_remote(model)[1].context}
    with using(core, call, model) as resident:
        return {"model": model, "context": resident.info.context_size}


def unload(core: Core, call: Call, model: str = "") -> dict[str, Any]:
    """Free the memory of a loaded model, or of all."""
    core.residents.unload(model)
    return {}
