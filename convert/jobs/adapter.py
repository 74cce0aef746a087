"""The job that makes a GGUF adapter of a LoRA folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert import hub_source
from convert.adapter import entries_of, placed, planned
from convert.checkpoint import open_checkpoint
from convert.config import Config, read_config
from convert.digests import hashed
from convert.families import family_of
from convert.finish import publish
from convert.lora import open_adapter
from convert.plan import FILE_TYPES, Plan
from convert.refusals import refuse
from convert.report import Facts, origin
from convert.stream import write
from engine.api.errors import UserError
from engine.api.hub_names import hub_names
from engine.api.job import Job
from engine.api.report_files import report_file


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: source (the adapter's folder), out, base (a checkpoint's folder; its config.json suffices), type (f16).

    Gives path, bytes, sha256, alpha, tensors (how many), family, report. Raises UserError needs_merging,
    adapter_of_another and others.
    """
    if hub_names(params):
        return hub_source.brought(run, params, job, light="base")
    out = Path(params["out"])
    adapter = open_adapter(Path(params["source"]))
    config = base_config(Path(params["base"]))
    found = family_of(config)
    if found is None:
        raise refuse(config)
    identity, family = found
    kind = str(params.get("type") or "f16").upper()
    if kind not in FILE_TYPES:
        raise UserError(
            "unknown_type", f"There is no type {kind}.", f"Choose one of {', '.join(FILE_TYPES)}.", name=kind
        )
    alpha, pairs = placed(adapter, family, family.adjust(config))
    tensors = planned(pairs, kind)
    plan = Plan(identity, entries_of(adapter, family.arch, alpha, FILE_TYPES[kind]), tensors)
    path = job.folder / "adapter.gguf"
    written = write(plan, adapter.weights, path, job)
    source = origin(adapter.folder, hashed(adapter.weights.files, job))
    source |= {"base": adapter.base_name} if adapter.base else {}
    result = {"name": out.name, "type": kind, "bytes": written.bytes, "sha256": written.sha256}
    publish([path], out, Facts(source, result, {"type": kind, "alpha": alpha}), adapter.folder)
    size = {"path": str(out), "bytes": written.bytes, "sha256": written.sha256, "report": str(report_file(out))}
    return size | {"alpha": alpha, "tensors": len(tensors), "family": identity}


def base_config(folder: Path) -> Config:
    """The base's config; with the names of its tensors where its weights are there too."""
    try:
        return open_checkpoint(folder).config
    except UserError as error:
        if error.code != "no_weights":
            raise
        return read_config(folder)
