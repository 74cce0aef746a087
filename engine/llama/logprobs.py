"""How likely a chosen token was, and what else was likely."""

from __future__ import annotations

from typing import Any

from engine.generation import TokenLogprob
from engine.llama.model import Model


def logprob(model: Model, context: Any, index: int, token: int, top: int) -> TokenLogprob:
    """`token` at output `index` of the last batch (-1 = its last), with the `top` likeliest tokens beside it.

    Natural logarithms of the model's own probabilities, before any sampler or grammar. Call it before the next decode.
    """
    import numpy as np

    logits = model.logits.of(context, index)
    highest = float(logits.max())
    total = highest + float(np.log(np.exp(logits - highest).sum(dtype=np.float64)))
    count = min(top, len(logits))
    best = np.argpartition(logits, -count)[-count:] if count > 0 else np.empty(0, np.int64)
    ranked = sorted(((float(logits[i]), int(i)) for i in best), key=lambda pair: (-pair[0], pair[1]))
    alternatives = tuple((i, model.piece(i), value - total) for value, i in ranked)
    return TokenLogprob(token, model.piece(token), float(logits[token]) - total, alternatives)
