"""What a file, a folder or a name is, and what can be made of it: headers only, quick."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from convert.checkpoint import FLOATS, Checkpoint, open_checkpoint
from convert.config import Config, read_config, read_object
from convert.families import family_of
from convert.keys import CONTEXT
from convert.projectors import projector_of
from convert.refusals import refusal_of
from convert.report import licence
from engine.api.errors import UserError
from engine.api.hub_names import hub_name

EMPTY: dict[str, Any] = {
    "name": "",
    "family": "",
    "architecture": "",
    "parameters": 0,
    "bytes": 0,
    "dtype": "",
    "quantized": "",
    "context": 0,
    "license": "",
    "files": 0,
    "can": [],
    "refused": None,
    "notes": [],
}


def look(source: str, endpoint: str = "") -> dict[str, Any]:
    """{"kind": checkpoint | gguf | adapter | onnx | hub, name, family, architecture, parameters, bytes …}: see EMPTY.

    `endpoint`: the hub to ask about a name. Raises UserError nothing_to_convert and those of what it opens.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return EMPTY | _folder(path)
    if path.suffix.lower() == ".gguf" and path.is_file():
        return EMPTY | _gguf(path)
    if path.is_file() and path.suffix in (".safetensors", ".bin", ".json", ".onnx"):
        return look(str(path.parent))
    if name := hub_name(source):
        from convert import hub_source

        return hub_source.look(name, endpoint)
    raise nothing(source)


def nothing(name: str) -> UserError:
    """The error of something that nothing can be made of."""
    return UserError(
        "nothing_to_convert",
        f"{name} is no model: neither a folder with config.json, nor a GGUF file, nor an adapter.",
        "Choose a model's folder, a .gguf file, or a name such as Qwen/Qwen3-0.6B.",
        name=name,
    )


def _folder(path: Path) -> dict[str, Any]:
    if (path / "adapter_config.json").is_file():
        return _adapter(path)
    if (path / "config.json").is_file() and not any(path.glob("*.onnx")):
        return _checkpoint(open_checkpoint(path))
    if any(path.glob("*.onnx")) or any(path.glob("onnx/*.onnx")):
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return {"kind": "onnx", "name": path.name, "bytes": size, "can": []}
    models = sorted(file for file in path.glob("*.gguf") if not re.search(r"-0000[2-9]-of-", file.name))
    if len(models) == 1:
        return _gguf(models[0])
    raise nothing(path.name)


def _checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        **_of_config(checkpoint.config),
        "kind": "checkpoint",
        "name": checkpoint.folder.name,
        "parameters": sum(t.elements for t in checkpoint.tensors.values() if t.dtype in FLOATS),
        "bytes": checkpoint.bytes,
        "dtype": checkpoint.dtype(),
        "license": licence(checkpoint.folder)["id"],
        "files": len(checkpoint.maps),
    }


def of_config(folder: Path) -> dict[str, Any]:
    """What config.json alone says of a checkpoint. Raises UserError no_config, bad_config."""
    return _of_config(read_config(folder))


def _of_config(config: Config) -> dict[str, Any]:
    found, said = family_of(config), refusal_of(config)
    return {
        "family": found[0] if found else "",
        "architecture": config.architecture,
        "quantized": quantized(config),
        "context": config.get(*CONTEXT, default=0),
        "can": _makes(found is not None, said) + (["projector"] if projector_of(config) else []),
        "refused": None if found else said or {"reason": "", "way": "onnx", "nearest": ""},
    }


def _makes(known: bool, said: dict[str, Any] | None) -> list[str]:
    """What can be made of a checkpoint."""
    if known:
        return ["gguf", "onnx", "merge", "lowrank", "residual"]
    return ["onnx"] if said is None or said.get("way") == "onnx" else []


def quantized(config: Config) -> str:
    """How a checkpoint's weights are packed: gptq, awq, bitsandbytes, fp8, compressed-tensors …; "" if they are not."""
    said = config.whole.get("quantization_config")
    return str(said.get("quant_method", "?")) if isinstance(said, dict) else ""


def _gguf(path: Path) -> dict[str, Any]:
    from models.gguf_header import read

    header = read(path)
    chats = header.kind in ("chat", "base")
    return {
        "kind": "adapter" if header.kind == "adapter" else "gguf",
        "name": header.name,
        "architecture": header.architecture,
        "parameters": header.parameters,
        "bytes": header.file_bytes,
        "dtype": header.quantization,
        "context": header.context,
        "license": header.licence,
        "files": len(header.files),
        "can": _of_gguf(header.quantization) if chats else ["quantize"],
    }


def _of_gguf(dtype: str) -> list[str]:
    """What can be made of a model that writes; only one in 16 bits or more can tell what quantizing lost."""
    return ["quantize", "imatrix", "compare", "to_hf", "prune", *(["residual"] if dtype in FLOATS else [])]


def _adapter(path: Path) -> dict[str, Any]:
    size = sum(file.stat().st_size for file in path.glob("adapter_model*"))
    own = {"kind": "adapter", "name": path.name, "bytes": size, "license": licence(path)["id"]}
    return own | of_adapter(path)


def of_adapter(folder: Path) -> dict[str, Any]:
    """What adapter_config.json alone says of an adapter. Raises UserError no_config, bad_config."""
    config = read_object(folder / "adapter_config.json")
    return {
        "architecture": str(config.get("peft_type", "")),
        "base": str(config.get("base_model_name_or_path") or ""),
        "can": ["adapter", "merge_adapter"],
    }
