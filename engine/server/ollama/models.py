"""What there is, as Ollama tells it: tags, one model in detail, what is in memory, vectors of texts."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from engine.api.messages import ModelRow
from engine.core import Call, Core
from engine.remotes.addresses import is_remote
from engine.requests import models
from engine.server.endpoint import Asked
from engine.server.fields import Fields
from engine.server.ollama.asked import TAG, plain_name
from engine.server.ollama.told import moment, nanoseconds

# Clients ask for the version to see what they may use. This is the one whose API is spoken here.
SPOKEN = "0.12.6"
MOST_LETTERS = 64  # of a token, on average over a text
LONG_S = 100 * 365 * 86400.0  # "until": nothing here goes by a clock of its own


def version(asked: Asked) -> dict[str, Any]:
    """The version of Ollama's API."""
    return {"version": SPOKEN}


def tags(asked: Asked) -> dict[str, Any]:
    """The models that can be used."""
    return {"models": [_entry(row) for row in _installed(asked.core)]}


def show(asked: Asked) -> dict[str, Any]:
    """One model in detail. Raises UserError unknown_model."""
    fields = Fields(asked.body)
    name = plain_name(fields.text("model", "") or fields.text("name"))
    found = models.show(asked.core, _call(asked), name)
    row, details = found["row"], found["details"]
    template = details.get("template") or ""
    return {
        "modelfile": f"FROM {row['id']}\n",
        "parameters": "",
        "template": template,
        "license": row["licence"],
        "details": _details(row),
        "model_info": _facts(row, details),
        "capabilities": _capabilities(row, template),
        "modified_at": moment(details.get("added", 0.0)),
    }


def running(asked: Asked) -> dict[str, Any]:
    """What is in memory."""
    rows = {row["id"]: row for row in _installed(asked.core)}
    loaded = [resident.info for resident in asked.core.residents.loaded()]
    return {
        "models": [
            _entry(rows[info.model])
            | {
                "size": sum(info.memory.values()),
                "size_vram": 0,
                "context_length": info.context_size,
                "expires_at": moment(time.time() + LONG_S),
            }
            for info in loaded
            if info.model in rows
        ]
    }


def embed(asked: Asked) -> dict[str, Any]:
    """Vectors of texts. Raises UserError bad_field and those of the model."""
    fields = Fields(asked.body)
    value = fields.value("input")
    inputs = [value] if isinstance(value, str) else fields.list("input", 2048)
    if "input" not in asked.body or not all(isinstance(one, str) for one in inputs):
        raise fields.bad("input", "must be a text or a list of texts")
    width = fields.whole("dimensions", 0, 0, 1_000_000)
    model, shorten = fields.text("model"), fields.flag("truncate", True)
    started = time.monotonic()
    vectors, tokens = _vectors(asked, model, inputs, shorten) if inputs else ([], 0)
    return {
        "model": model,
        "embeddings": [cut(vector, width) for vector in vectors],
        "total_duration": nanoseconds(time.monotonic() - started),
        "load_duration": 0,
        "prompt_eval_count": tokens,
    }


def embeddings(asked: Asked) -> dict[str, Any]:
    """The vector of one text, the older way."""
    fields = Fields(asked.body)
    prompt = fields.text("prompt", "")
    return {"embedding": _vectors(asked, fields.text("model"), [prompt])[0][0] if prompt else []}


def cut(vector: list[float], width: int) -> list[float]:
    """The first `width` numbers at length 1 again; all of them for 0."""
    if not 0 < width < len(vector):
        return vector
    kept = vector[:width]
    length = sum(number * number for number in kept) ** 0.5 or 1.0
    return [number / length for number in kept]


def _vectors(asked: Asked, model: str, inputs: list[str], shorten: bool = True) -> tuple[list[list[float]], int]:
    from engine.requests.inference import embed as embed_all

    name = plain_name(model)
    texts: list[Any] = _shortened(asked, name, inputs) if shorten and not is_remote(name) else inputs
    made = embed_all(asked.core, name, texts, asked.cancelled)
    return made.vectors, made.tokens


def _shortened(asked: Asked, model: str, inputs: list[str]) -> list[list[int]]:
    """The texts as tokens, too long ones without their end, as Ollama does unless told not to."""
    with asked.core.residents.use(model, lambda done: None, asked.cancelled) as resident:
        embedder = resident.embedder()
        most = embedder.limit
        texts = [embedder.tokens(text[: most * MOST_LETTERS]) for text in inputs]
    return [tokens if len(tokens) <= most else [*tokens[: most - 1], tokens[-1]] for tokens in texts]


def _call(asked: Asked) -> Call:
    return Call("http", lambda event: None)


def _installed(core: Core) -> list[ModelRow]:
    rows: list[ModelRow] = models.list_models(core, Call("http", lambda event: None))["models"]
    return [row for row in rows if row["installed"] and not row["problem"] and row["kind"] != "adapter"]


def _entry(row: ModelRow) -> dict[str, Any]:
    from models.registry import lookup

    known = lookup(row["id"])
    name = row["id"] + TAG
    return {
        "name": name,
        "model": name,
        "modified_at": moment(known.added if known else 0.0),
        "size": row["bytes"],
        # The hash of the file where it is known; clients only compare it.
        "digest": (known.sha256 if known else "") or hashlib.sha256(row["id"].encode()).hexdigest(),
        "details": _details(row),
    }


def _details(row: ModelRow) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": row["architecture"],
        "families": [row["architecture"]],
        "parameter_size": size_words(row["parameters"]),
        "quantization_level": row["quantization"],
    }


def size_words(parameters: int) -> str:
    """A number of parameters in Ollama's way: 134.52M, 7.6B."""
    if parameters >= 1_000_000_000:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.2f}M"


def _facts(row: ModelRow, details: dict[str, Any]) -> dict[str, Any]:
    kind, shape = row["architecture"], details.get("shape") or {}
    heads = shape.get("kv_heads") or [0]
    return {
        "general.architecture": kind,
        "general.parameter_count": row["parameters"],
        f"{kind}.context_length": row["context"],
        f"{kind}.embedding_length": shape.get("embedding", 0),
        f"{kind}.block_count": shape.get("layers", 0),
        f"{kind}.attention.head_count": shape.get("heads", 0),
        f"{kind}.attention.head_count_kv": max(heads),
    }


def _capabilities(row: ModelRow, template: str) -> list[str]:
    if row["kind"] == "embedding":
        return ["embedding"]
    from engine.completions.abilities import abilities

    thinks = "thinking" in template or "reasoning_effort" in template  # the wishes that templates read
    able = {"tools": abilities(template).tools, "thinking": thinks, "vision": "vision" in row["tags"]}
    return ["completion", *(name for name, can in able.items() if can)]
