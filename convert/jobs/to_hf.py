"""The job that makes a Hugging Face checkpoint of a GGUF model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert.checkpoint import open_checkpoint
from convert.digests import hashed
from convert.finish import fresh_folder, publish_checkpoint
from convert.gguf_source import GGUF, open_gguf
from convert.note import note, told
from convert.report import Facts, origin
from convert.safetensors_file import write_checkpoint
from convert.to_hf import config_of, wanted, write_config
from convert.vocabulary import to_huggingface
from engine.api.errors import UserError
from engine.api.job import Job
from engine.api.report_files import report_file

DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16"}


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: source (a GGUF file), out (a folder), type (f16 by default) -> path, bytes, files, family, warnings.

    Raises UserError no_way_back, no_way_back_arch, no_way_back_tensor, unknown_type, not_as_planned.
    """
    model, out = open_gguf(Path(params["source"])), Path(params["out"])
    dtype = DTYPES.get(str(params.get("type") or "f16").lower())
    if dtype is None:
        raise UserError(
            "unknown_type", f"There is no type {params['type']}.", "Choose f32, f16 or bf16.", name=params["type"]
        )
    identity, family, config = config_of(model)
    config.values["torch_dtype"] = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[dtype]
    tensors = wanted(model, family, config, dtype)
    notes = _lost(model)
    with fresh_folder(job, out.name) as folder:
        files = write_checkpoint(folder, tensors, job, [model])
        write_config(folder, config, model.entries)
        to_huggingface(model.entries, folder)
        _check(folder, {tensor.name: tensor.shape for tensor in tensors})
        source = origin(model.path, hashed(model.files, job), str(model.value("general.license", "")))
        facts = Facts(source, {"type": dtype}, {"type": dtype}, warnings=notes)
        size = publish_checkpoint(folder, files, out, facts, model.path, job)
    return {
        "path": str(out),
        "bytes": size,
        "files": [file.name for file in files],
        "family": identity,
        "report": str(report_file(out)),
        "warnings": notes,
        "notes": told(notes),
    }


def _lost(model: GGUF) -> list[str]:
    lossy = sorted({kind for kind in model.types.values() if kind not in ("F32", "F16", "BF16")})
    text = "The weights were {types}: what that lost does not come back."
    return [note("weights_were", text, types=", ".join(lossy))] if lossy else []


def _check(folder: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """What was written is opened again before it gets its name."""
    found = {name: source.shape for name, source in open_checkpoint(folder).tensors.items()}
    if found != shapes:
        raise UserError(
            "not_as_planned",
            f"{folder.name} did not become what was planned.",
            "Start the conversion anew; the disk may be faulty.",
            name=folder.name,
        )
