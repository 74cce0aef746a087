"""Answers that quote a document, with guesses from the text itself beside plain decoding of the same prompts.

At temperature 0 both write the same, up to places where two tokens are as likely as each other to some hundredths:
several tokens are added up in another order than one. So time is compared per token, and equal texts are counted.

Every other prompt is asked; with `--all` each one is.
"""

from __future__ import annotations

import statistics
import sys
import threading
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _engine import ROOT, THREADS, private_home, qwen_coder, smollm2
from _figures import figure, ratio
from _rounds import abba

if TYPE_CHECKING:
    from engine.api.messages import Stats
    from engine.resident import Resident

TOKENS, CONTEXT = 96, 2048
LEAST = {"quoting": 1.3, "free": 0.97}


class Heard:
    """Keeps the text."""

    def __init__(self) -> None:
        self.whole = ""

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """Not measured here."""

    def text(self, piece: str) -> None:
        self.whole += piece


def write(resident: Resident, prompt: dict[str, Any], speculate: bool) -> tuple[str, Stats]:
    """One answer."""
    from speculating import chat

    from engine.api.sampling import Sampling
    from engine.generation import Generation

    heard, greedy = Heard(), Sampling(temperature=0.0, max_tokens=TOKENS)
    request = Generation(chat(prompt["question"], prompt.get("document", "")), greedy, speculate=speculate)
    stats = resident.generate(request, heard, threading.Event())
    return heard.whole, stats


def compare(name: str, resident: Resident, kind: str, prompts: list[dict[str, Any]]) -> None:
    """Print the figures of one kind of prompts: each is asked twice in a row, and who comes first changes."""
    pairs = abba(
        lambda number: write(resident, prompts[number], True),
        lambda number: write(resident, prompts[number], False),
        len(prompts),
    )
    ratios = [per_token(plain) / per_token(ahead) for (_, ahead), (_, plain) in pairs]
    for prompt, faster in zip(prompts, ratios, strict=True):
        print(f"{prompt['name']}: {faster:.2f}", file=sys.stderr, flush=True)
    ratio(f"{name}, {kind} answers: with guesses / plain, tokens/s", statistics.median(ratios), LEAST[kind])
    tokens = sum(ahead["tokens"] for (_, ahead), _ in pairs)
    right = sum(ahead.get("guessed_right", 0) for (_, ahead), _ in pairs)
    figure(f"{name}, {kind} answers: tokens guessed right", f"{right / tokens:.2f}")
    same = sum(guessed == plain for (guessed, _), (plain, _) in pairs)
    figure(f"{name}, {kind} answers: equal texts", f"{same} of {len(prompts)}")


def per_token(stats: Stats) -> float:
    """Seconds."""
    return stats["decode_s"] / max(1, stats["tokens"] - 1)


def measure(name: str, path: Path, sets: dict[str, list[dict[str, Any]]]) -> None:
    """Load one model and ask everything."""
    from engine.llama.load import LoadSettings
    from engine.resident import Serving, take_in

    resident = take_in(name, path, LoadSettings(context_size=CONTEXT, threads=THREADS), Serving(), lambda done: True)
    write(resident, sets["free"][0], True)  # what steps cost here is learnt once
    for kind, prompts in sets.items():
        compare(name, resident, kind, prompts)
    resident.stop()
    resident.close()


def main() -> None:
    private_home()
    sets = tomllib.loads((ROOT / "bench" / "quoting_prompts.toml").read_text(encoding="utf-8"))
    if "--all" not in sys.argv[1:]:
        sets = {kind: prompts[::2] for kind, prompts in sets.items()}
    measure("Qwen2.5 Coder 0.5B", qwen_coder(), sets)
    measure("SmolLM2 135M", smollm2(), sets)


if __name__ == "__main__":
    main()
