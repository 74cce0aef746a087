"""A checkpoint's config.json, read by us: nothing is filled in that it does not say, nothing of it is executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.api.errors import UserError

LARGEST = 64 * 2**20
# Where models of several senses keep what belongs to their language model.
_TEXT_PARTS = ("text_config", "llm_config", "lm_config", "language_config", "thinker_config.text_config")
_SIZES = {
    "layers": ("n_layers", "num_hidden_layers", "n_layer", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads", "n_kv_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"),
    "width": ("hidden_size", "n_embd", "dim", "d_model", "n_embed"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"),
    "rows": ("vocab_size", "padded_vocab_size"),
}
# A list with a value a layer is made of these: none has a thousand.
_MOST = {"layers": 4096}


class Config:
    """Values of config.json; those of the language model's own part come first."""

    def __init__(self, values: dict[str, Any], folder: Path | None = None, names: frozenset[str] = frozenset()) -> None:
        """`folder`: where it lies, for what a family keeps in files beside it; `names`: the checkpoint's tensors."""
        self.names = names
        self.whole = values
        self.folder = folder
        inner = next((found for part in _TEXT_PARTS if isinstance(found := _at(values, part), dict)), {})
        self.values: dict[str, Any] = {**values, **inner}
        named = inner.get("architectures") or values.get("architectures")
        self.architecture = str(named[0]) if isinstance(named, list) and named else ""

    def having(self, **values: Any) -> Config:
        """The same with values of its own for some keys."""
        made = Config({**self.whole, **values}, self.folder, self.names)
        made.values.update(values)
        return made

    def beside(self, name: str) -> Any:
        """What another JSON file inside the folder holds; None where there is none that can be read."""
        try:
            path = (self.folder or Path()) / name
            if self.folder is None or path.stat().st_size > LARGEST or ".." in path.parts or Path(name).is_absolute():
                return None
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None

    def get(self, *names: str, default: Any = None) -> Any:
        """The first of these that is there and not null; a dot goes into a part."""
        found = (_at(self.values, name) for name in names)
        return next((value for value in found if value is not None), default)

    def size(self, name: str | int) -> int:
        """A count by our word for it (layers, heads, kv_heads, head_dim, width, experts …) or by its key in the file.

        Raises UserError config_lacks.
        """
        if isinstance(name, int):
            return name
        value = self.get(*_SIZES.get(name, (name,)))
        if value is None and name == "kv_heads":
            return self.size("heads")
        if value is None and name == "head_dim":
            return self.size("width") // self.size("heads")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _MOST.get(str(name), 2**31):
            raise UserError(
                "config_lacks",
                f"config.json has no usable {_SIZES.get(name, (name,))[0]}.",
                "Take the file from the model's own page.",
                key=_SIZES.get(name, (name,))[0],
            )
        return value

    def has(self, name: str) -> bool:
        """Whether the file says this, by our word for it or its own."""
        return self.get(*_SIZES.get(name, (name,))) is not None

    @property
    def rope(self) -> dict[str, Any]:
        """What the file says of rotary positions, old spellings (rope_scaling, rope_theta …) and new ones made one."""
        said = self.get("rope_parameters", "rope_scaling", default={})
        rope = dict(said) if isinstance(said, dict) else {}
        if "full_attention" in rope or "sliding_attention" in rope:
            return rope
        local = self.get(*(_LOCAL_THETA))
        found = {
            "sliding_attention": None if local is None else {"rope_theta": local},
            "rope_theta": self.get("global_rope_theta", "rope_global_theta", "rope_theta", "rotary_emb_base"),
            "rope_type": rope.get("type"),
            "partial_rotary_factor": self.get("partial_rotary_factor", "rope_pct", "rope_percent", "rotary_pct"),
            "original_max_position_embeddings": self.get("original_max_position_embeddings"),
        }
        return {**{name: value for name, value in found.items() if value is not None}, **rope}

    @property
    def rope_full(self) -> dict[str, Any]:
        """The part of `rope` that layers with full attention use."""
        full = self.rope.get("full_attention", self.rope)
        return full if isinstance(full, dict) else {}


_LOCAL_THETA = ("local_rope_theta", "rope_local_theta", "rope_theta_local", "swa_rope_theta", "rope_local_base_freq")


def read_config(folder: Path) -> Config:
    """Raises UserError gguf_not_folder, no_config, bad_config."""
    if folder.suffix.lower() == ".gguf" and folder.is_file():
        raise UserError(
            "gguf_not_folder",
            f"{folder.name} is a GGUF model, and the folder of a checkpoint is wanted.",
            "Quantize it as it is, or make a folder of it first (deskside to-hf).",
            name=folder.name,
        )
    try:
        return Config(read_object(folder / "config.json"), folder)
    except FileNotFoundError:
        raise UserError(
            "no_config",
            f"{folder.name} has no config.json.",
            "Choose the folder that holds config.json and the weights.",
            name=folder.name,
        ) from None


def read_object(path: Path) -> dict[str, Any]:
    """The object in a settings file of a model's folder. Raises FileNotFoundError, UserError bad_config."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is larger than any config")
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no object")
        return values
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            "bad_config",
            f"{path.name} of {path.parent.name} cannot be read: {error}.",
            "Download it again.",
            name=path.parent.name,
            reason=str(error),
        ) from None


def _at(values: dict[str, Any], path: str) -> Any:
    found: Any = values
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
