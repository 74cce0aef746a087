"""Vectors of texts by remote models."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from typing import Any

from engine.remotes import failures
from engine.remotes.addresses import find, name_in
from engine.remotes.keys import key_of
from engine.remotes.wire import Exchange

MAX_ANSWER = 256 * 1024 * 1024
MAX_ERROR = 64 * 1024
WITHIN_S = 600.0
ERROR_WITHIN_S = 10.0


def embed_remotely(
    model: str, inputs: Sequence[str | list[int]], cancelled: threading.Event
) -> tuple[list[list[float]], int]:
    """A vector for each text, or for each list of the model's own tokens, and how many tokens were read (0: not told).

    Raises UserError as `complete_remote`; Cancelled.
    """
    remote, _ = find(model)
    key, body = key_of(remote), {"model": name_in(model), "input": list(inputs), "encoding_format": "float"}
    with Exchange(
        f"{remote.url}/embeddings", key, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    ) as e:
        head = e.head(cancelled)
        if not 200 <= head.status < 300:
            words = failures.quoted(e.body(MAX_ERROR, cancelled, ERROR_WITHIN_S), key)
            raise failures.of_status(head.status, e.host, words, head.location)
        return read_vectors(e.body(MAX_ANSWER, cancelled, WITHIN_S), len(inputs), e.host)


def read_vectors(body: bytes, wanted: int, host: str) -> tuple[list[list[float]], int]:
    """The vectors of an answer to `wanted` texts, and the tokens. Raises UserError remote_not_api, remote_error."""
    try:
        told = json.loads(body)
        found = {one["index"]: one["embedding"] for one in told["data"]}
        vectors = [found[number] for number in range(wanted)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise failures.not_api(host) from None
    if len(found) != wanted or not all(map(_is_vector, vectors)) or len({len(vector) for vector in vectors}) > 1:
        raise failures.error(host, "what it calls vectors are none")
    return vectors, _tokens(told.get("usage"))


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(n) in (int, float) and math.isfinite(n) for n in value)


def _tokens(usage: Any) -> int:
    told = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return told if isinstance(told, int) and told >= 0 else 0
