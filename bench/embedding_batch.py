"""Texts a second: many in batches beside one after the other, with a real encoder and a model that writes."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from _engine import THREADS, smollm2
from _figures import figure, ratio
from _rounds import abba, median_ratio

ROUNDS = 3
WORDS = ("harbour", "winter", "ship", "letter", "garden", "engine", "river", "music", "doctor", "window", "paper")
LEAST = {"encoder": 1.0, "writer": 1.1}


def texts(count: int, longest: int) -> list[str]:
    """Texts of 3 to `longest` words, always the same."""
    draw = random.Random(7)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, longest))) for _ in range(count)]


def seconds(work: Sequence[Generator[None, None, object]]) -> float:
    """The time for all steps of all works."""
    start = time.perf_counter()
    for steps in work:
        for _ in steps:
            pass
    return time.perf_counter() - start


def compare(name: str, path: Path, count: int, longest: int) -> None:
    """Print the ratio for one model."""
    from engine.llama.embed import Embedder
    from engine.llama.load import LoadSettings, load

    model = load(path, LoadSettings(threads=THREADS))
    embedder = Embedder(model, path)
    inputs = [embedder.tokens(text) for text in texts(count, longest)]
    seconds([embedder.embed(inputs[:2])])
    pairs = abba(
        lambda _: seconds([embedder.embed([one]) for one in inputs]),
        lambda _: seconds([embedder.embed(inputs)]),
        ROUNDS,
    )
    embedder.close()
    model.close()
    alone, together = (statistics.median(side) for side in zip(*pairs, strict=True))
    words = f"{name}, {count} texts of up to {longest} words"
    ratio(f"{words}: batches / one by one", median_ratio(pairs), LEAST[name])
    figure(f"{words}: texts/s", f"{count / together:.0f} / {count / alone:.0f}")
    figure(f"{words}: tokens/s", f"{sum(map(len, inputs)) / together:.0f}")


def main() -> None:
    from minilm_gguf import minilm_gguf

    for longest in (8, 60):
        compare("encoder", minilm_gguf(), 128, longest)
        compare("writer", smollm2(), 16, longest)


if __name__ == "__main__":
    main()
