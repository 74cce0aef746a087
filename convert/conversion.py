"""A checkpoint's way to GGUF, planned: family, vocabulary, metadata and every tensor, before any value is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convert.checkpoint import FLOATS, Checkpoint, open_checkpoint
from convert.dequantize import unpacked
from convert.families import family_of
from convert.family import Entries, Family
from convert.keys import entries_of
from convert.metadata import general_entries
from convert.note import told
from convert.plan import FILE_TYPES, Plan, Planned, counts_of, tensors_of
from convert.quantized_stream import types_of, with_notes
from convert.recipe import Recipe, recipe
from convert.refusals import refuse
from convert.stream import Written
from convert.vocabulary import Vocabulary
from convert.vocabulary import read as read_vocabulary


@dataclass(frozen=True)
class Ready:
    """A conversion that is planned and may begin."""

    checkpoint: Checkpoint
    family: Family
    plan: Plan
    vocabulary: Vocabulary


def prepare(source: Path, wished: str, imatrix: bool = False, overrides: Iterable[Sequence[str]] = ()) -> Ready:
    """Open the checkpoint and plan all of the file; `imatrix`: whether importances will be known; `overrides`: pairs
    of a pattern and a type.

    Raises UserError for whatever is wrong with it.
    """
    checkpoint, notes = unpacked(open_checkpoint(source))
    found = family_of(checkpoint.config)
    if found is None:
        raise refuse(checkpoint.config)
    identity, family = found
    checkpoint.config = family.adjust(checkpoint.config)
    chosen = recipe(wished, overrides)
    vocabulary = read_vocabulary(checkpoint.folder, checkpoint.config, family.vocabulary)
    if vocabulary.size:
        checkpoint.config = checkpoint.config.having(tokens=vocabulary.size)
    tensors = tensors_of(family, checkpoint, _base(chosen, checkpoint))
    entries = _entries(identity, family, checkpoint, vocabulary, tensors, chosen.file_type, notes)
    if _mixed(chosen):
        choices = types_of(chosen, tensors, entries, imatrix)
        types = {name: choice.type for name, choice in choices.items()}
        tensors = with_notes(tensors_of(family, checkpoint, _base(chosen, checkpoint), types), choices)
    return Ready(checkpoint, family, Plan(identity, entries, tensors, (*notes, *vocabulary.notes)), vocabulary)


def _mixed(chosen: Recipe) -> bool:
    """Whether its tensors may get different types."""
    return chosen.type not in FILE_TYPES or bool(chosen.base or chosen.overrides)


def _base(chosen: Recipe, checkpoint: Checkpoint) -> str:
    """The type of what a recipe does not name: itself where it names all, else the checkpoint's own."""
    if not _mixed(chosen):
        return chosen.type
    return checkpoint.dtype() if checkpoint.dtype() in FLOATS[1:] else "F16"


def _entries(
    identity: str,
    family: Family,
    checkpoint: Checkpoint,
    vocabulary: Vocabulary,
    tensors: tuple[Planned, ...],
    file_type: int,
    notes: list[str],
) -> Entries:
    general = general_entries(checkpoint.folder, family.arch, counts_of(tensors), notes)
    first: Entries = {"general.architecture": ("str", family.arch)}
    own = entries_of(family.arch, family.keys, checkpoint.config)
    found = {**first, **general, **own, "general.file_type": ("u32", file_type), **vocabulary.entries}
    return family.entries(checkpoint.config, found)


def shown(ready: Ready, written: Written | None = None) -> dict[str, Any]:
    """The result for people: every tensor, and what was lost."""
    losses = written.losses if written else {}
    rows = [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "type": tensor.type,
            "bytes": tensor.bytes,
            "source": tensor.dtype,
            "note": tensor.note,
            "told": told([tensor.note])[0],
        }
        for tensor in ready.plan.tensors
    ]
    lost = [{"name": name, **asdict(loss)} for name, loss in losses.items()]
    return {
        "family": ready.plan.family,
        "bytes": ready.plan.file_bytes,
        "bits": ready.plan.bits,
        "tensors": rows,
        "warnings": list(ready.plan.notes),
        "notes": told(ready.plan.notes),
        "losses": lost,
    }
