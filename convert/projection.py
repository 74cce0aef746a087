"""A checkpoint's eyes to GGUF, planned like a language model, and checked: a file of a few bytes is none."""

from __future__ import annotations

from pathlib import Path

from convert.checkpoint import open_checkpoint
from convert.config import Config
from convert.conversion import Ready
from convert.dequantize import unpacked
from convert.keys import entries_of
from convert.metadata import general_entries
from convert.note import note
from convert.plan import FILE_TYPES, Plan, Planned, counts_of, tensors_of
from convert.projectors import projector_of
from convert.vision import ARCH, no_eyes
from convert.vocabulary import Vocabulary
from engine.api.errors import UserError

NOTES = {
    "llava": (
        note(
            "one_patch_aside",
            "llama.cpp puts this kind's summary of a picture behind its patches instead of before them, so it sees "
            "them one patch aside; newer kinds of models that see are not concerned.",
        ),
    )
}


def prepare_projector(source: Path, wished: str) -> Ready:
    """Open the checkpoint and plan its projector's file.

    Raises UserError no_eyes, no_preprocessor, projector_type, projector_absurd and what a language model's plan raises.
    """
    checkpoint, notes = unpacked(open_checkpoint(source))
    found = projector_of(checkpoint.config)
    if found is None:
        raise no_eyes()
    identity, family = found
    checkpoint.config = family.adjust(checkpoint.config)
    kind = wished.upper()
    if kind not in FILE_TYPES:
        names = ", ".join(name.lower() for name in FILE_TYPES)
        raise UserError(
            "projector_type", f"A projector cannot be of type {wished}.", f"Choose one of {names}.", types=names
        )
    tensors = tensors_of(family, checkpoint, kind)
    general = general_entries(checkpoint.folder, ARCH, counts_of(tensors), notes)
    entries = {"general.architecture": ("str", ARCH), **general, **entries_of(ARCH, family.keys, checkpoint.config)}
    entries |= {"general.type": ("str", "mmproj"), "general.file_type": ("u32", FILE_TYPES[kind])}
    entries = {name: entry for name, entry in entries.items() if not name.startswith(f"{ARCH}.rope.")}
    plan = Plan(identity, entries, tensors, (*notes, *NOTES.get(identity, ())))
    check_size(plan, checkpoint.config)
    return Ready(checkpoint, family, plan, Vocabulary("none", {}, 0, "", ()))


def check_size(plan: Plan, config: Config) -> None:
    """Whether each block is there and as large as the header says. Raises UserError projector_absurd."""
    width, blocks = config.size("vision_config.hidden_size"), config.size("vision_config.num_hidden_layers")
    if blocks > len(plan.tensors):
        raise _absurd(0, blocks)
    whole = [sum(_of(tensor, block) for tensor in plan.tensors) >= 4 * width * width for block in range(blocks)]
    led = any(tensor.name.startswith("mm.") for tensor in plan.tensors)
    if not all(whole) or not led or not blocks:
        raise _absurd(sum(whole), blocks)


def _absurd(found: int, blocks: int) -> UserError:
    return UserError(
        "projector_absurd",
        f"The projector would have {found} of {blocks} blocks: the checkpoint's vision tower is not whole.",
        "Download all of its files again, or take the original model's projector.",
        found=found,
        blocks=blocks,
    )


def _of(tensor: Planned, block: int) -> int:
    """How many values a tensor adds to a block."""
    return tensor.elements if tensor.name.startswith(f"v.blk.{block}.") else 0
