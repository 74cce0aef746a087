"""The job kind `onnx`: a checkpoint becomes a folder of ONNX files that were compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert import hub_source
from convert.onnx.export import Order, export
from engine.api.hub_names import hub_names
from engine.api.job import Job


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """params: {source, out (folder), int8, int4, threads} -> {"folder", "files", "bytes", "agreement", "int8", "int4",
    "model" (its id if it can be chosen in documents, else ""), "peak_bytes", "report"}."""
    if hub_names(params):
        return hub_source.brought(run, params, job)
    order = Order(
        source=Path(params["source"]),
        out=Path(params["out"]),
        int8=bool(params.get("int8")),
        int4=bool(params.get("int4")),
        threads=int(params.get("threads") or 0),
    )
    return export(order, job)
