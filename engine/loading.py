"""Which model a request gets, how it is loaded, and whether it fits."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.api.errors import UserError
from engine.api.settings import Settings
from engine.chosen_draft import ChosenDraft, chosen_draft
from engine.core import Call, Core
from engine.llama.load import LoadSettings
from engine.resident import Resident, Serving
from engine.residents import Residents, Wanted

if TYPE_CHECKING:
    from models.fit import Loading

PROGRESS_EVERY_S = 0.1
log = logging.getLogger("deskside.loading")


def residents_of(core: Core) -> Residents:
    """The table of loaded models of one engine, following its settings."""

    def wanted(model: str) -> Wanted:
        from engine.machine import room
        from models.rows import header, loadable

        path = loadable(model).path
        if core.residents.find(model) is None:
            header(path)  # a header that lies can make llama.cpp abort the whole process: ours refuses it first
        chosen = core.settings
        kept = core.conversations if chosen.stored_conversations_gb else None
        serving = Serving(chosen.queue_limit, kept, chosen.guess_ahead, lambda: room(core))
        return Wanted(path, load_settings(chosen), serving, _draft(chosen, model))

    def changed(model: str, context: int) -> None:
        core.broadcast("model_loaded", model=model, context=context)

    residents = Residents(wanted, lambda *asked: _missing(core, *asked), changed)
    residents.follow(core.settings)
    return residents


def _draft(chosen: Settings, model: str) -> ChosenDraft | None:
    """The draft for a model. One that cannot guess for it is none: why is said where it is chosen, see `models.fit`."""
    try:
        return chosen_draft(chosen, model, load_settings(chosen))
    except UserError as error:
        log.info("%s goes without a draft: %s", model, error.text)
        return None


def memory_of(chosen: Settings) -> Loading:
    """How models are loaded as far as their memory goes, for the fit estimate."""
    return load_settings(chosen).memory()


def load_settings(chosen: Settings) -> LoadSettings:
    """How models are loaded."""
    return LoadSettings(
        context_size=chosen.context_size,
        threads=chosen.threads,
        gpu_layers=chosen.gpu_layers,
        sequences=chosen.parallel,
        kv_type=chosen.kv_type,
        flash_attention=chosen.flash_attention,
        extend=chosen.extend_context,
    )


def context_of(core: Core) -> int:
    """The context size in tokens that the settings ask for."""
    return core.settings.context_size


@contextmanager
def using(core: Core, call: Call, model: str) -> Iterator[Resident]:
    """The loaded model for one request, with the progress of loading told to the asker. Raises as Residents.use."""
    shown = 0.0

    def progress(done: float) -> None:
        nonlocal shown
        if time.monotonic() - shown >= PROGRESS_EVERY_S or done == 1.0:
            call.emit("load", done=done)
            shown = time.monotonic()

    with core.residents.use(model, progress, call.cancelled) as resident:
        yield resident


def _missing(core: Core, model: str, freed: int, beside: int) -> int:
    """Bytes that other models must give back before this one fits with `beside` bytes more.

    Raises UserError model_wont_fit, with numbers, where it does not fit alone.
    """
    from engine.machine import hardware
    from models.rows import fit_of

    report = fit_of(model, hardware(core), memory_of(core.settings))
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
    return max(0, report["total"] + beside - (report["available"] - freed))
