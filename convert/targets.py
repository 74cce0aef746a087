"""Every type that a source can be made: how large, how many bits, what to expect. From headers, before anyone waits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from convert.checkpoint import Checkpoint
from convert.conversion import prepare
from convert.look import look
from convert.plan import Plan
from convert.quantize_plan import Source, preview, read_source
from convert.quantized_stream import facts_of
from models.gguf_header import read as read_header
from models.gguf_header import shape_of
from models.shape import Shape


def targets(path: str, endpoint: str = "") -> dict[str, Any]:
    """What `look` says, "shape" (fields of models.shape.Shape) and "targets": the previews of all recipes by size."""
    found = look(path, endpoint)
    if not {"gguf", "quantize"} & set(found["can"]):
        return found | {"shape": asdict(Shape()), "targets": []}
    if found["kind"] == "hub":
        from convert.hub_source import headers_only

        with headers_only(found["name"], endpoint) as folder:
            return targets(str(folder)) | {name: found[name] for name in ("kind", "name", "bytes", "files", "license")}
    source, shape = _gguf(Path(path)) if found["kind"] == "gguf" else _checkpoint(Path(path))
    rows = [plan.to_json(tensors=False) for plan in preview(source)]
    return found | {"shape": asdict(shape), "targets": rows}


def _gguf(path: Path) -> tuple[Source, Shape]:
    file = path if path.is_file() else next(iter(sorted(path.glob("*.gguf"))))
    return read_source(file), read_header(file).shape


def _checkpoint(folder: Path) -> tuple[Source, Shape]:
    ready = prepare(folder, "F16")
    return _as_source(ready.plan, ready.checkpoint), shape_of(
        {name: value for name, (_, value) in ready.plan.entries.items()}, ready.family.arch
    )


def _as_source(plan: Plan, checkpoint: Checkpoint) -> Source:
    """A plan of 16 bits seen as a model that could be quantized."""
    return Source(
        path=checkpoint.folder,
        files=(),
        facts=facts_of(plan.entries),
        shapes={tensor.name: tensor.shape[::-1] or (1,) for tensor in plan.tensors},
        types={tensor.name: tensor.type for tensor in plan.tensors},
        header_bytes=len(plan.header()),
    )
