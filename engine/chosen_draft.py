"""Which small model guesses for a big one: the settings name one, and here it is judged whether it can and pays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from engine.api.errors import UserError
from engine.api.messages import FitReport
from engine.api.settings import Settings
from engine.llama.load import LoadSettings


@dataclass(frozen=True)
class ChosenDraft:
    """A draft model that can guess for the model it was chosen for. `bytes`: what it takes in memory."""

    model: str
    path: Path
    bytes: int


def chosen_draft(chosen: Settings, model: str, settings: LoadSettings) -> ChosenDraft | None:
    """The draft for `model` as it is loaded with `settings`; None where the person wants none.

    Raises UserError draft_mismatch, draft_not_smaller, and those of `models.rows.loadable` for the draft.
    """
    from engine.llama.draft import mismatch
    from models.registry import lookup
    from models.rows import header, loadable

    target = lookup(model) if chosen.draft_model and chosen.guess_ahead else None
    if not target:
        return None
    of_target = header(target.path)
    if of_target.kind not in ("chat", "base"):  # it writes nothing that could be guessed
        return None
    draft = loadable(chosen.draft_model)
    of_draft = header(draft.path)
    if of_draft.tensor_bytes >= of_target.tensor_bytes:
        raise _not_smaller(target.name, draft.name)
    other = _difference(target.path, _stamp(target.path), draft.path, _stamp(draft.path))
    if other:
        raise mismatch(target.name, draft.name, other)
    return ChosenDraft(draft.id, draft.path, _bytes(draft.path, draft_settings(settings)))


def with_draft(report: FitReport, chosen: Settings, model: str) -> FitReport:
    """A model's report, and what its draft takes or why it has none."""
    from engine.loading import load_settings

    try:
        draft = chosen_draft(chosen, model, load_settings(chosen))
        if draft and report["total"] + draft.bytes > report["available"]:
            raise _wont_fit(draft.model, draft.bytes, report["available"] - report["total"])
    except UserError as error:
        return {**report, "draft_problem": error.to_json()}
    return {**report, "draft": draft.bytes} if draft else report


def draft_settings(settings: LoadSettings) -> LoadSettings:
    """How the draft of a model loaded with `settings` is loaded: it follows one request at a time."""
    return replace(settings, sequences=1)


def _bytes(path: Path, settings: LoadSettings) -> int:
    from models.fit import estimate
    from models.hardware import Hardware
    from models.rows import header

    read = header(path)
    anywhere = Hardware(cores=1, threads=1, total=0, available=0)
    return estimate(read.shape, read.tensor_bytes, anywhere, settings.memory(), read.context)["total"]


def _stamp(path: Path) -> tuple[int, int]:
    known = path.stat()
    return known.st_size, known.st_mtime_ns


@lru_cache(maxsize=64)
def _difference(target: Path, target_stamp: tuple[int, int], draft: Path, draft_stamp: tuple[int, int]) -> str:
    from engine.llama.draft import difference

    return difference(target, draft)


def _not_smaller(target: str, draft: str) -> UserError:
    return UserError(
        "draft_not_smaller",
        f"{draft} is not smaller than {target}, so its guesses would cost more than they bring.",
        "Choose a much smaller model of the same family, or none.",
        model=target,
        draft=draft,
    )


def _wont_fit(draft: str, needed: int, free: int) -> UserError:
    """The model fits, but not with its draft."""
    need, have = f"{needed / 1e9:.2f}", f"{max(0, free) / 1e9:.2f}"
    return UserError(
        "draft_wont_fit",
        f"{draft} would need {need} GB beside the model, and {have} GB are free.",
        "Answers come without its guesses. Close other programs, or choose a smaller context.",
        draft=draft,
        need=need,
        have=have,
    )
