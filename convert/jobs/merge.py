"""The job that makes one checkpoint of several, or of a base and a LoRA adapter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from convert import hub_source
from convert.checkpoint import Checkpoint, open_checkpoint
from convert.digests import hashed
from convert.finish import fresh_folder, publish_checkpoint
from convert.lora import open_adapter
from convert.merging import merged, recipe_of, with_adapter
from convert.note import note, spoken, told
from convert.report import Facts, licence, origin, without_folders
from convert.safetensors_file import Wanted, write_checkpoint
from engine.api.errors import UserError
from engine.api.hub_names import hub_names
from engine.api.job import Job
from engine.api.report_files import report_file

WEIGHTS = (".safetensors", ".bin", ".gguf", ".index.json", ".onnx", ".pt", ".pth", ".h5", ".msgpack")
LARGEST_COPIED = 64 << 20
SETTINGS = ("method", "models", "base", "type", "seed")
DTYPES = {"f32": "F32", "f16": "F16", "bf16": "BF16", "": ""}


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: method (adapter | linear | slerp | ties | dare), models [{path, weight, density}], base, out, type, seed.

    For "adapter" the one model is the adapter's folder. Gives path, bytes, files, tensors, report,
    warnings, notes. Raises UserError bad_merge,
    not_alike, adapter_of_another, packed_base and those of opening.
    """
    if hub_names(params):
        return hub_source.brought(run, params, job)
    tensors, read = _tensors(params)
    out, notes = Path(params["out"]), _licences(read)
    with fresh_folder(job, out.name) as folder:
        files = write_checkpoint(folder, tensors, job, read)
        copy_rest(read[0].folder, folder)
        said = without_folders({name: value for name, value in params.items() if name in SETTINGS})
        (folder / "merge.json").write_text(json.dumps(said, indent=2, ensure_ascii=False), encoding="utf-8")
        facts = Facts(_source(read, job), {"type": open_checkpoint(folder).dtype()}, said, warnings=notes)
        size = publish_checkpoint(folder, files, out, facts, read[0].folder, job)
    found = {"path": str(out), "bytes": size, "files": [file.name for file in files], "tensors": len(tensors)}
    return found | {"report": str(report_file(out)), "warnings": notes, "notes": told(notes)}


def _source(read: list[Checkpoint], job: Job) -> dict[str, Any]:
    """What the report says of all of them; each file under the name of its folder."""
    rows = hashed((file for model in read for file in model.files), job)
    folders = [model.folder.name for model in read for _ in model.files]
    files = [row | {"name": f"{folder}/{row['name']}"} for folder, row in zip(folders, rows, strict=True)]
    return origin(read[0].folder, files) | {"name": " + ".join(dict.fromkeys(model.folder.name for model in read))}


def _licences(read: list[Checkpoint]) -> list[str]:
    names = sorted({licence(model.folder)["id"] for model in read} - {""})
    text = "The models have different licences ({licences}); what is made of them must keep to all of them."
    return [note("licences_differ", text, licences=", ".join(names))] if len(names) > 1 else []


def _tensors(params: dict[str, Any]) -> tuple[list[Wanted], list[Checkpoint]]:
    """What will be written, and the checkpoints it is made of, that which lends its config and tokenizer first."""
    dtype = DTYPES.get(str(params.get("type") or "").lower())
    if dtype is None:
        raise UserError(
            "unknown_type", f"There is no type {params['type']}.", "Choose f32, f16 or bf16.", name=params["type"]
        )
    paths = [Path(model["path"]).expanduser() for model in params["models"]]
    base = plain(Path(params["base"]).expanduser()) if params.get("base") else None
    if params["method"] == "adapter":
        if base is None or len(paths) != 1:
            raise UserError(
                "bad_merge",
                "These models cannot be merged so: an adapter needs its base.",
                "Change it and try again.",
                reason=spoken(note("adapter_without_base", "an adapter needs its base")),
            )
        adapter = open_adapter(paths[0])
        return with_adapter(base, adapter, dtype), [base, adapter.weights]
    recipe = recipe_of(params, base is not None)
    models = [plain(path) for path in paths]
    return merged(models, base, recipe, dtype), [*models, *([base] if base else [])]


def plain(folder: Path) -> Checkpoint:
    """A checkpoint that is not packed: adding to packed weights would lose what is added."""
    checkpoint = open_checkpoint(folder)
    if "quantization_config" in checkpoint.config.whole:
        raise UserError(
            "packed_base",
            f"{folder.name} is quantized; merging into it would lose most of the change.",
            "Take the model in 16 bits.",
            name=folder.name,
        )
    return checkpoint


def copy_rest(source: Path, target: Path) -> None:
    """Config, tokenizer, templates and licence of the first model; not what we noted in its folder."""
    for file in source.iterdir():
        if (
            file.is_file()
            and not file.name.startswith(".")
            and not file.name.endswith(WEIGHTS)
            and file.stat().st_size <= LARGEST_COPIED
        ):
            shutil.copyfile(file, target / file.name)
