"""Which model a request gets, and loading it with its progress shown."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.api.errors import UserError
from engine.core import Call, Core
from engine.llama.load import LoadSettings
from engine.worker import Loaded

PROGRESS_EVERY_S = 0.1


@dataclass(frozen=True)
class Template:
    """A model's chat template (None: it has none) and the texts of its BOS and EOS tokens."""

    text: str | None
    bos: str
    eos: str


def load_settings(core: Core) -> LoadSettings:
    """How models are loaded, from the settings."""
    chosen = core.settings
    return LoadSettings(context_size=chosen.context_size, threads=chosen.threads, gpu_layers=chosen.gpu_layers)


def context_of(core: Core) -> int:
    """The context size in tokens that the settings ask for."""
    return core.settings.context_size


def load_for(core: Core, call: Call, model: str) -> Loaded:
    """Load `model` unless it is loaded; refuses beforehand what would not fit in memory.

    Raises UserError (unknown_model, vanished_model, damaged_model, model_wont_fit) or Cancelled.
    """
    from models.registry import find
    from models.rows import header

    before = core.worker.loaded()
    path = find(model).path
    if before is None or before.model != model:
        header(path)  # a header that lies can make llama.cpp abort the whole process: ours refuses it first
        _refuse_too_big(core, model)

    shown = 0.0

    def progress(done: float) -> None:
        nonlocal shown
        if time.monotonic() - shown >= PROGRESS_EVERY_S or done == 1.0:
            call.emit("load", done=done)
            shown = time.monotonic()

    loaded = core.worker.load(model, path, load_settings(core), progress, call.cancelled)
    if before is None or before.model != model:
        core.broadcast("model_loaded", model=model, context=loaded.context_size)
    return loaded


def template_of(core: Core, model: str) -> Template:
    """The chat template of a model, from the loaded one or by loading it."""
    loaded = core.worker.loaded()
    if loaded is None or loaded.model != model:
        loaded = load_for(core, Call(None, lambda message: None), model)
    return Template(loaded.template, loaded.bos, loaded.eos)


def _refuse_too_big(core: Core, model: str) -> None:
    from engine.machine import hardware
    from models.rows import fit_of

    report = fit_of(model, hardware(core), context_of(core))
    if report["fit"] == "wont_fit":
        need, have = report["total"] / 1e9, report["available"] / 1e9
        raise UserError(
            "model_wont_fit",
            f"This model needs {need:.1f} GB and {have:.1f} GB are free.",
            "Close other programs, choose a smaller context in the settings, or a smaller model.",
            need=f"{need:.1f}",
            have=f"{have:.1f}",
            largest_context=report["largest_context"],
        )
