"""Our HTTP API beside llama-server, same file and threads, in turns: decoding for 1, 4 and 8 clients, prefill, gaps."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from _engine import THREADS, qwen_coder, smollm2
from _figures import figure, ratio
from _load import Streamed, stream_all
from _servers import model_name, ours, peer

CONTEXT, PARALLEL, TOKENS, ROUNDS = 8192, 8, 48, 3
CLIENTS = {1: 1.0, 4: 1.15, 8: 1.15}  # and the least share of the peer's speed
PREFILL_WORDS, LEAST_PREFILL = 160, 1.25
FILES = {"qwen": ("Qwen2.5-Coder-0.5B", qwen_coder, (151643, 151645)), "smollm2": ("SmolLM2-135M", smollm2, (0, 2))}


def story(number: int, model: str, ends: tuple[int, ...]) -> dict[str, Any]:
    """A request for exactly TOKENS tokens that begins as no other."""
    things = ["a bridge", "the harbour", "two brothers", "a stolen clock", "winter", "an old map", "bees", "the lamp"]
    prompt = f"Story number {number}, about {things[number % 8]}. Once upon a time"
    bias = {str(token): -100 for token in ends}
    same = {"temperature": 0, "repeat_penalty": 1.0}  # the catalogue knows better values, the peer does not
    return {"model": model, "prompt": prompt, "max_tokens": TOKENS, "logit_bias": bias} | same


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


def measure(name: str, file: Path, ends: tuple[int, ...]) -> None:
    """Both servers run all the time and are asked in turns, so that the machine's moods meet both."""
    with (
        peer(file, THREADS, CONTEXT, PARALLEL) as theirs,
        ours(file, THREADS, CONTEXT, PARALLEL, guess_ahead=False) as mine,
    ):
        ports = {"ours": mine, "peer": theirs}
        models = {who: model_name(port) for who, port in ports.items()}
        for clients, least in CLIENTS.items():
            speeds, gaps = _rounds(ports, models, clients, ends)
            ratio(f"{name}: {clients} clients, ours / llama-server", _ratio(speeds), least)
            figure(f"{name}: {clients} clients, tokens/s", _both(speeds, ".1f"))
            worse = statistics.median(gaps["ours"]) / statistics.median(gaps["peer"])
            figure(f"{name}: {clients} clients, longest gap, ours / llama-server", f"{worse:.2f}", "<= 1", worse <= 1)
        read: dict[str, list[float]] = {"ours": [], "peer": []}
        for number in range(ROUNDS + 1):
            for who, port in ports.items():
                read[who].append(prefill(port, number, models[who]))
        ratio(f"{name}: prefill, ours / llama-server", _ratio(read), LEAST_PREFILL)


def _rounds(
    ports: dict[str, int], models: dict[str, str], clients: int, ends: tuple[int, ...]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    speeds: dict[str, list[float]] = {"ours": [], "peer": []}
    gaps: dict[str, list[float]] = {"ours": [], "peer": []}
    for turn in range(ROUNDS + 1):
        for who, port in ports.items():
            bodies = [story(turn * 100 + number, models[who], ends) for number in range(clients)]
            answers = stream_all(port, bodies)
            speeds[who].append(speed(answers))
            gaps[who].append(max(answer.longest_gap for answer in answers))
    return speeds, gaps


def _ratio(figures: dict[str, list[float]]) -> float:
    """Of the medians; the first round warms up."""
    return statistics.median(figures["ours"][1:]) / statistics.median(figures["peer"][1:])


def _both(figures: dict[str, list[float]], form: str) -> str:
    return " / ".join(format(statistics.median(figures[who][1:]), form) for who in ("ours", "peer"))


def main() -> None:
    for key in sys.argv[1:] or FILES:
        name, file, ends = FILES[key]
        measure(name, file(), ends)


if __name__ == "__main__":
    main()
