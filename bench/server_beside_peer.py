"""Our HTTP API beside llama-server, same file and threads, in turns: decoding for 1, 4 and 8 clients, prefill, gaps.

Ours is asked twice: token by token as the peer works, and as it comes, guessing ahead where that pays; the text is the
same. A bare loop over the same llama.cpp as ours has its turns, too: token by token no server over it can be faster.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _bare import Bare
from _engine import THREADS, qwen_coder, smollm2
from _figures import figure, ratio
from _load import Streamed, stream_all
from _servers import COMPILED, model_name, ours, peer

CONTEXT, PARALLEL, TOKENS, ROUNDS = 8192, 8, 48, 9
# Clients, and the least share of the peer's speed; the wheel is built for any processor.
CLIENTS = {1: 1.0, 4: 1.0, 8: 1.0} if COMPILED else {1: 1.0, 4: 1.15, 8: 1.15}
PREFILL_WORDS, LEAST_PREFILL = 160, 1.0 if COMPILED else 1.25
FILES = {"qwen": ("Qwen2.5-Coder-0.5B", qwen_coder, (151643, 151645)), "smollm2": ("SmolLM2-135M", smollm2, (0, 2))}


def story_prompt(number: int) -> str:
    """A beginning that no other request has."""
    things = ["a bridge", "the harbour", "two brothers", "a stolen clock", "winter", "an old map", "bees", "the lamp"]
    return f"Story number {number}, about {things[number % 8]}. Once upon a time"


def story(number: int, model: str, ends: tuple[int, ...]) -> dict[str, Any]:
    """A request for exactly TOKENS tokens."""
    bias = {str(token): -100 for token in ends}
    same = {"temperature": 0, "repeat_penalty": 1.0}  # the catalogue knows better values, the peer does not
    return {"model": model, "prompt": story_prompt(number), "max_tokens": TOKENS, "logit_bias": bias} | same


def speed(answers: list[Streamed]) -> float:
    """Tokens a second of all together, from the first word of the first to the end of the last."""
    began = min(answer.pieces[0] for answer in answers)
    return len(answers) * TOKENS / (max(answer.ended for answer in answers) - began)


def prefill(port: int, number: int, model: str) -> float:
    """Words a second of a prompt that no one has seen; the same words for both servers."""
    words = " ".join(f"{(number * 7919 + at * 104729) % 9973}" for at in range(PREFILL_WORDS))
    (answer,) = stream_all(
        port, [{"model": model, "prompt": words, "max_tokens": 1, "temperature": 0, "repeat_penalty": 1.0}]
    )
    return PREFILL_WORDS / (answer.ended - answer.asked)


@dataclass
class Rounds:
    """What each had in every round, in tokens a second and in seconds; the first round warms up and is not counted."""

    speeds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    gaps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def show(self, name: str, least: float) -> None:
        """Print the figures of one number of clients."""
        ratio(f"{name}, ours / llama-server", _ratio(self.speeds, "ours", "peer"), least)
        ratio(f"{name}, ours guessing ahead / llama-server", _ratio(self.speeds, "guessing", "peer"), least)
        figure(f"{name}, a bare loop over our llama.cpp / llama-server", f"{_ratio(self.speeds, 'bare', 'peer'):.3f}")
        figure(
            f"{name}, tokens/s: {', '.join(self.speeds)}",
            " / ".join(f"{_middle(self.speeds[who]):.1f}" for who in self.speeds),
        )
        for who in ("ours", "guessing"):
            worse = _ratio(self.gaps, who, "peer")
            figure(f"{name}, longest gap, {who} / llama-server", f"{worse:.2f}", "<= 1", worse <= 1)


def measure(name: str, file: Path, ends: tuple[int, ...]) -> None:
    """Both servers run all the time and are asked in turns, so that the machine's moods meet both."""
    bare = Bare(file, THREADS, CONTEXT, PARALLEL)
    with (
        peer(file, THREADS, CONTEXT, PARALLEL) as theirs,
        ours(file, THREADS, CONTEXT, PARALLEL, guess_ahead=False) as mine,
        ours(file, THREADS, CONTEXT, PARALLEL) as guessing,
    ):
        ports = {"ours": mine, "peer": theirs, "guessing": guessing}
        models = {who: model_name(port) for who, port in ports.items()}
        for clients, least in CLIENTS.items():
            _rounds(bare, ports, models, clients, ends).show(f"{name}: {clients} clients", least)
        read: dict[str, list[float]] = defaultdict(list)
        for number in range(ROUNDS + 1):
            for who, port in list(ports.items())[:2]:
                read[who].append(prefill(port, number, models[who]))
        ratio(f"{name}: prefill, ours / llama-server", _ratio(read, "ours", "peer"), LEAST_PREFILL)


def _rounds(bare: Bare, ports: dict[str, int], models: dict[str, str], clients: int, ends: tuple[int, ...]) -> Rounds:
    rounds = Rounds()
    for turn in range(ROUNDS + 1):
        numbers = range(turn * 100, turn * 100 + clients)
        rounds.speeds["bare"].append(bare.together([bare.tokens(story_prompt(n)) for n in numbers], TOKENS))
        for who, port in ports.items():
            answers = stream_all(port, [story(number, models[who], ends) for number in numbers])
            rounds.speeds[who].append(speed(answers))
            rounds.gaps[who].append(max(answer.longest_gap for answer in answers))
    return rounds


def _middle(rounds: list[float]) -> float:
    return statistics.median(rounds[1:])


def _ratio(figures: dict[str, list[float]], mine: str, other: str) -> float:
    """The middle of the rounds' ratios: those of one round were measured one after the other."""
    return _middle([a / b for a, b in zip(figures[mine], figures[other], strict=True)])


def main() -> None:
    for key in sys.argv[1:] or FILES:
        name, file, ends = FILES[key]
        measure(name, file(), ends)


if __name__ == "__main__":
    main()
