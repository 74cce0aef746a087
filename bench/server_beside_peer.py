"""Our HTTP API beside llama-server, same file and threads, in turns: decoding for 1, 4 and 8 clients, prefill, gaps.

A bare loop over the same llama.cpp as ours is asked in the same turns, to tell what is llama.cpp's and what is ours.

One start of a program differs from the next by 1 to 3 %, for as long as it lives, and the machine has moods of tens of
seconds: so all are started many times, and what counts is the middle of all rounds. The place in the order is worth up
to 2 %: so the servers take turns at being the first, and the rounds are an even number.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _bare import Bare
from _engine import THREADS, eight_b, qwen_coder, smollm2
from _figures import figure, ratio
from _load import Streamed, stream_all
from _servers import COMPILED, model_name, ours, peer

CONTEXT, PARALLEL, TOKENS, STARTS, ROUNDS = 8192, 8, 48, 16, 2
MORE_ROUNDS = {1: 6}  # short ones, where a hundredth matters
# Clients, and the least share of the peer's speed; the wheel is built for any processor.
CLIENTS = {1: 1.0, 4: 1.0, 8: 1.0} if COMPILED else {1: 1.0, 4: 1.15, 8: 1.15}
PREFILL_WORDS, LEAST_PREFILL = 160, 1.0 if COMPILED else 1.25
FILES = {
    "qwen": ("Qwen2.5-Coder-0.5B", qwen_coder, (151643, 151645)),
    "smollm2": ("SmolLM2-135M", smollm2, (0, 2)),
    "8b": ("8B of random weights", eight_b, (0, 2)),  # for a graphics card
}
USUAL = ("qwen", "smollm2")


def story_prompt(number: int) -> str:
    """A beginning that no other request has."""
    things = ["a bridge", "the harbour", "two brothers", "a stolen clock", "winter", "an old map", "bees", "the lamp"]
    return f"Story number {number}, about {things[number % 8]}. Once upon a time"


def story(number: int, model: str, ends: tuple[int, ...]) -> dict[str, Any]:
    """A request for exactly TOKENS tokens."""
    bias = {str(token): -100 for token in ends}
    same = {"temperature": 0, "repeat_penalty": 1.0}  # the catalogue knows better values, the peer does not
    return {"model": model, "prompt": story_prompt(number), "max_tokens": TOKENS, "logit_bias": bias} | same


def speed(answers: list[Streamed], began: float) -> float:
    """Tokens a second of all together, from `began` to the end of the last."""
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
    """What each had in every round that counts, in tokens a second and in seconds."""

    speeds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    gaps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wholes: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def show(self, name: str, least: float) -> None:
        """Print the figures of one number of clients."""
        ratio(f"{name}, ours / llama-server", _ratio(self.speeds, "ours", "peer"), least)
        figure(f"{name}, a bare loop over our llama.cpp / llama-server", f"{_ratio(self.speeds, 'bare', 'peer'):.3f}")
        figure(
            f"{name}, tokens/s: {', '.join(self.speeds)}",
            " / ".join(f"{_middle(self.speeds[who]):.1f}" for who in self.speeds),
        )
        figure(f"{name}, from the question on, ours / llama-server", f"{_ratio(self.wholes, 'ours', 'peer'):.3f}")
        worse = _ratio(self.gaps, "ours", "peer")
        figure(f"{name}, longest gap, ours / llama-server", f"{worse:.2f}", "<= 1", worse <= 1)


def measure(name: str, file: Path, ends: tuple[int, ...]) -> None:
    """All are started STARTS times; then they run beside each other and are asked in turns, so that the machine's moods
    meet all of them."""
    rounds = {clients: Rounds() for clients in CLIENTS}
    read: dict[str, list[float]] = defaultdict(list)
    for start in range(STARTS):
        bare = Bare(file, THREADS, CONTEXT, PARALLEL)
        with (
            peer(file, THREADS, CONTEXT, PARALLEL) as theirs,
            ours(file, THREADS, CONTEXT, PARALLEL, guess_ahead=False) as mine,
        ):
            started = Started(bare, {"ours": mine, "peer": theirs}, ends, start * 10_000)
            for clients, kept in rounds.items():
                started.write(clients, kept)
            started.read(read)
        bare.close()
    for clients, kept in rounds.items():
        kept.show(f"{name}: {clients} clients", CLIENTS[clients])
    ratio(f"{name}: prefill, ours / llama-server", _ratio(read, "ours", "peer"), LEAST_PREFILL)


class Started:
    """Everybody, for as long as they run; `first` is the number of the first story."""

    def __init__(self, bare: Bare, ports: dict[str, int], ends: tuple[int, ...], first: int) -> None:
        self._bare, self._ports, self._ends, self._first = bare, ports, ends, first
        self._models = {who: model_name(port) for who, port in ports.items()}

    def write(self, clients: int, kept: Rounds) -> None:
        """ROUNDS, or more, in which everybody writes for so many clients, after one to warm up."""
        for turn in range(MORE_ROUNDS.get(clients, ROUNDS) + 1):
            into = kept if turn else Rounds()
            begin = self._first + turn * 100
            numbers = range(begin, begin + clients)
            for who, port in self._in_turn(turn):
                answers = stream_all(port, [story(number, self._models[who], self._ends) for number in numbers])
                into.speeds[who].append(speed(answers, min(answer.pieces[0] for answer in answers)))
                into.wholes[who].append(speed(answers, min(answer.asked for answer in answers)))
                into.gaps[who].append(max(answer.longest_gap for answer in answers))
            prompts = [self._bare.tokens(story_prompt(number)) for number in numbers]
            into.speeds["bare"].append(self._bare.together(prompts, TOKENS))

    def read(self, kept: dict[str, list[float]]) -> None:
        """ROUNDS in which a long prompt is read."""
        for turn in range(ROUNDS + 1):
            for who, port in self._in_turn(turn):
                took = prefill(port, self._first + turn, self._models[who])
                if turn:
                    kept[who].append(took)

    def _in_turn(self, turn: int) -> list[tuple[str, int]]:
        """Everybody's port; who was the first is the last the next time."""
        return list(self._ports.items())[:: -1 if turn % 2 else 1]


def _middle(rounds: list[float]) -> float:
    return statistics.median(rounds)


def _ratio(figures: dict[str, list[float]], mine: str, other: str) -> float:
    """The middle of the rounds' ratios: those of one round were measured one after the other."""
    return _middle([a / b for a, b in zip(figures[mine], figures[other], strict=True)])


def main() -> None:
    for key in sys.argv[1:] or USUAL:
        name, file, ends = FILES[key]
        measure(name, file(), ends)


if __name__ == "__main__":
    main()
