"""The job that makes a GGUF file of a checkpoint: planned from headers, then streamed, then checked, then renamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert.conversion import Ready, prepare, shown
from convert.plan import Plan, check_room
from convert.quantized_stream import encoder
from convert.stream import encode_slab, write
from engine.api.errors import UserError
from engine.api.job import Job


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: source (a checkpoint's folder), out, type (a recipe), imatrix ("" or a file), dry_run.

    Gives path, bytes, sha256, bits, family, tensors, losses, warnings.
    """
    out, imatrix = Path(params["out"]), params.get("imatrix", "")
    ready = prepare(Path(params["source"]), params["type"], bool(imatrix))
    if params.get("dry_run"):
        return shown(ready) | {"path": str(out), "sha256": ""}
    return direct(ready, out, imatrix, job)


def direct(ready: Ready, out: Path, imatrix: str, job: Job) -> dict[str, Any]:
    """Stream the file into the job's folder, read it again, give it its name."""
    check_room(ready.plan, out)
    path = job.folder / "model.gguf"
    written = write(ready.plan, ready.checkpoint, path, job, encoder(_importance(imatrix)) if imatrix else encode_slab)
    _check(path, ready.plan)
    out.parent.mkdir(parents=True, exist_ok=True)
    path.replace(out)
    return shown(ready, written) | {"path": str(out), "sha256": written.sha256}


def _importance(path: str) -> dict[str, Any]:
    from convert.imatrix import read, weights

    return weights(read(Path(path)))


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
