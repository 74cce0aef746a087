"""The job that makes a GGUF file of a checkpoint: planned from headers, then streamed, then checked, then renamed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convert.checkpoint import Checkpoint, open_checkpoint
from convert.families import family_of
from convert.family import Entries, Family
from convert.keys import entries_of
from convert.metadata import general_entries
from convert.plan import FILE_TYPES, Plan, Planned, check_room, counts_of, tensors_of
from convert.refusals import refuse
from convert.stream import Written, write
from convert.vocabulary import Vocabulary
from convert.vocabulary import read as read_vocabulary
from engine.api.errors import UserError
from engine.api.job import Job


@dataclass(frozen=True)
class Ready:
    """A conversion that is planned and may begin."""

    checkpoint: Checkpoint
    family: Family
    plan: Plan
    vocabulary: Vocabulary


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """See the contract in docs/protocol.md: {source, out, type, dry_run} -> path, bytes, sha256, tensors, warnings."""
    out = Path(params["out"])
    ready = prepare(Path(params["source"]), params["type"])
    if params.get("dry_run"):
        return shown(ready) | {"path": str(out), "sha256": ""}
    check_room(ready.plan, out)
    path = job.folder / "model.gguf"
    written = write(ready.plan, ready.checkpoint, path, job)
    _check(path, ready.plan)
    out.parent.mkdir(parents=True, exist_ok=True)
    path.replace(out)
    return shown(ready, written) | {"path": str(out), "sha256": written.sha256}


def prepare(source: Path, wished: str) -> Ready:
    """Open the checkpoint and plan all of the file. Raises UserError for whatever is wrong with it."""
    checkpoint = open_checkpoint(source)
    found = family_of(checkpoint.config)
    if found is None:
        raise refuse(checkpoint.config)
    identity, family = found
    checkpoint.config = family.adjust(checkpoint.config)
    kind = wished.upper()
    if kind not in FILE_TYPES:
        raise UserError(
            "unknown_type", f"There is no type {wished}.", f"Choose one of {', '.join(FILE_TYPES)}.", name=wished
        )
    tensors = tensors_of(family, checkpoint, kind)
    notes: list[str] = []
    vocabulary = read_vocabulary(source, checkpoint.config, family.vocabulary)
    entries = _entries(identity, family, checkpoint, vocabulary, tensors, FILE_TYPES[kind], notes)
    return Ready(checkpoint, family, Plan(identity, entries, tensors, (*notes, *vocabulary.notes)), vocabulary)


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
        "losses": lost,
    }


def _check(path: Path, plan: Plan) -> None:
    """What stands in the file is read again before it gets its name."""
    from models.gguf_header import read

    header = read(path)
    if header.file_bytes != plan.file_bytes or header.parameters != sum(tensor.elements for tensor in plan.tensors):
        raise UserError(
            "not_as_planned",
            f"{path.name} did not become what was planned.",
            "Start the conversion anew; the disk may be faulty.",
            name=path.name,
        )
