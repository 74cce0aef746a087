"""Block influence (Men et al. 2024, "ShortGPT", arXiv 2403.03853): one minus the mean cosine between a block's input
and its output. Blocks with little of it are pruned first; what that costs, the report says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from convert import calibration_text
from convert.jobs.imatrix import _layers, chunks_of
from engine.api.errors import UserError
from engine.api.job import Job

CHUNKS = 12  # enough: scores settle after some thousand tokens


def scores(model: Path, params: dict[str, Any], job: Job) -> dict[int, float]:
    """{block: influence}, 0 (changes nothing) to 2, of every block. Params: text, chunks, context, threads, gpu_layers.

    Raises Cancelled, UserError no_influence for models whose blocks cannot be watched, and those of text and loading.
    """
    from engine.llama.beside import Reader, Reading
    from engine.llama.influence import Influence

    asked = {"text": "builtin", "chunks": CHUNKS, **params}
    hook, given_up = Influence(), job.cancelled.is_set
    reading = Reading(calibration_text.context_of(asked), 1, int(asked.get("threads") or 0), _layers(asked))
    reader = Reader(model, reading, hook, lambda done: not given_up())
    try:
        chunks = chunks_of(reader, asked, "calibrate")
        for number, chunk in enumerate(chunks):
            job.step(number * reader.context, len(chunks) * reader.context, "tokens")
            for _ in reader.read([chunk.tokens], 0, given_up):
                pass
    finally:
        reader.close()
    return _means(hook.cosines, hook.tokens, model)


def least(found: dict[int, float], count: int) -> list[int]:
    """The `count` blocks that change least, in order; never the first and the last, without which nothing works."""
    inner = sorted(found)[1:-1]
    return sorted(sorted(inner, key=lambda block: (found[block], block))[:count])


def _means(cosines: dict[int, float], tokens: dict[int, int], model: Path) -> dict[int, float]:
    ordered: Callable[[dict[int, float]], list[int]] = sorted
    if not cosines or ordered(cosines) != list(range(max(cosines) + 1)):
        raise UserError(
            "no_influence",
            f"The blocks of {model.name} cannot be watched one by one.",
            "Say yourself which blocks to leave out.",
            name=model.name,
        )
    return {block: 1.0 - cosines[block] / tokens[block] for block in ordered(cosines)}
