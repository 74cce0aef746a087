"""One model in several files, as llama.cpp reads them: the first holds all metadata, each its own tensors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from convert.checkpoint import Checkpoint
from convert.family import Entries
from convert.gguf_file import padded
from convert.plan import Plan, Planned
from convert.stream import Encoder, Written, write
from engine.api.errors import UserError
from engine.api.job import Job

LEAST = 1 << 20


def plans(plan: Plan, most: int) -> list[Plan]:
    """A plan cut where a file would pass `most` bytes of tensors. Raises UserError small_split."""
    if most < LEAST:
        raise UserError("small_split", "Parts of less than 1 MB are too small.", "Choose larger parts.", bytes=most)
    groups: list[list[Planned]] = [[]]
    size = 0
    for tensor in plan.tensors:
        if groups[-1] and size + padded(tensor.bytes) > most:
            groups.append([])
            size = 0
        groups[-1].append(replace(tensor, offset=size))
        size += padded(tensor.bytes)
    return [
        Plan(plan.family, _entries(plan, number, len(groups)), tuple(group), plan.notes)
        for number, group in enumerate(groups)
    ]


def _entries(plan: Plan, number: int, count: int) -> Entries:
    own: Entries = {
        "split.no": ("u16", number),
        "split.count": ("u16", count),
        "split.tensors.count": ("i32", len(plan.tensors)),
    }
    return {**plan.entries, **own} if number == 0 else own


def write_split(
    plan: Plan, checkpoint: Checkpoint, path: Path, job: Job, encode: Encoder, most: int
) -> tuple[list[Path], Written]:
    """Write the parts beside `path`; the files in order, and the first one's hash with all losses."""
    parts = plans(plan, most)
    files, written = [], []
    for number, part in enumerate(parts):
        file = path.with_name(f"{path.stem}-{number}.gguf")
        inner = job if len(parts) == 1 else Job(job.folder / f"part-{number}", {}, job.pass_on, job.cancelled)
        written.append(write(part, checkpoint, file, inner, encode))
        files.append(file)
    losses = {name: loss for one in written for name, loss in one.losses.items()}
    return files, Written(written[0].sha256, sum(one.bytes for one in written), losses)
