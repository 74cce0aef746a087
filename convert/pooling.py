"""How an embedder makes one vector of many, as sentence-transformers writes it beside the weights."""

from __future__ import annotations

from typing import Any

from convert.config import Config
from convert.family import Key
from engine.api.errors import UserError

MEAN, CLS, LAST, RANK = 1, 2, 3, 4  # llama.h, enum llama_pooling_type
_MODES = {"mean": MEAN, "cls": CLS, "lasttoken": LAST}
_FLAGS = {
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_cls_token": CLS,
    "pooling_mode_lasttoken": LAST,
}


def pooling(config: Config) -> int | None:
    """llama.cpp's number, None where nothing is said. Raises UserError unknown_pooling."""
    said = config.beside(f"{_folder(config.beside('modules.json'))}/config.json")
    if not isinstance(said, dict):
        return None
    flagged = next((kind for flag, kind in _FLAGS.items() if said.get(flag) is True), None)
    found = flagged or _MODES.get(str(said.get("pooling_mode")))
    if found is None:
        raise UserError(
            "unknown_pooling",
            "This embedder makes its vector in a way that llama.cpp does not have.",
            "Export it to ONNX instead.",
        )
    return found


def _folder(modules: Any) -> str:
    """Where the pooling's settings lie; the usual place where no list of modules says it."""
    rows = modules if isinstance(modules, list) else []
    named = [row for row in rows if isinstance(row, dict) and str(row.get("type")).endswith("Pooling")]
    return str(named[0].get("path")) if named else "1_Pooling"


POOLING = Key("pooling_type", value=pooling)
