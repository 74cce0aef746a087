"""Our engine beside llama-cpp-python's own class `llama_cpp.Llama`: same file, threads and context, in turns.

Both write what is likeliest, streamed, with nothing guessed ahead. `Llama` answers one at a time: who else asks waits
behind a lock, as everyone who serves with it has to make them.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from _engine import THREADS, private_home, qwen_coder, smollm2
from _figures import figure, ratio
from _rounds import abba, median_ratio, medians

CONTEXT, TOKENS, ROUNDS, ASKERS = 2048, 48, 3, 4
LEAST = {"decode": 1.0, "prefill": 1.0, "second turn": 0.95, "between": 3.0, "askers": 1.3}
LINE = "On day {n} the committee met to speak of the harbour, its cranes, its ships and of the price of salt. "
numbers = itertools.count(1000)  # no two prompts begin alike, but where they are to


@dataclass
class Heard:
    """When it was asked, and when each piece of text came, on time.perf_counter's clock."""

    asked: float = field(default_factory=time.perf_counter)
    pieces: list[float] = field(default_factory=list)
    whole: str = ""

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """Not measured here."""

    def text(self, piece: str) -> None:
        """A listener of the engine's."""
        self.pieces.append(time.perf_counter())
        self.whole += piece

    @property
    def first_s(self) -> float:
        """Seconds to the first piece."""
        return self.pieces[0] - self.asked


Ask = Callable[[str, int], Heard]


def ask_ours(resident: Any, prompt: str, most: int) -> Heard:
    """At most `most` tokens, for any thread."""
    from engine.api.sampling import Sampling
    from engine.generation import Generation

    heard = Heard()
    request = Generation(prompt, Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=most), speculate=False)
    resident.generate(request, heard, threading.Event())
    return heard


def ask_theirs(llama: Any, lock: threading.Lock, prompt: str, most: int) -> Heard:
    """The same of `llama_cpp.Llama`."""
    heard = Heard()
    with lock:
        for event in llama.create_completion(prompt, temperature=0.0, max_tokens=most, stream=True):
            text = event["choices"][0]["text"]
            if text:
                heard.text(text)
    return heard


def story() -> str:
    """A short prompt that a model goes on from for long."""
    return f"Story {next(numbers)}. Once upon a time there was a ship that"


def document(lines: int) -> str:
    """A long one."""
    number = next(numbers)
    return "".join(LINE.format(n=f"{number}-{line}") for line in range(lines))


def decode(ask: Ask) -> float:
    """Pieces a second of one asker."""
    pieces = ask(story(), TOKENS).pieces
    return (len(pieces) - 1) / (pieces[-1] - pieces[0])


def prefill(ask: Ask) -> float:
    """1 / seconds to the first token after a prompt of some 400 tokens that no one has seen."""
    return 1 / ask(document(12), 1).first_s


def second_turn(ask: Ask, between: bool) -> float:
    """1 / seconds to the first token of a conversation's second turn; `between`: after somebody else's first."""
    begun = document(12)
    begun += ask(begun, 8).whole
    if between:
        ask(document(12), 8)
    return 1 / ask(f"{begun}\nAnd then the committee met on the", 2).first_s  # in mid-sentence nobody ends the text


def at_once(ask: Ask) -> tuple[float, float]:
    """(pieces a second of all together, longest wait for a first one in seconds)."""
    with ThreadPoolExecutor(ASKERS) as pool:
        start = time.perf_counter()
        heard = list(pool.map(lambda prompt: ask(prompt, TOKENS), [story() for _ in range(ASKERS)]))
    pieces = sum(len(one.pieces) for one in heard)
    return pieces / (time.perf_counter() - start), max(one.first_s for one in heard)


def compare(name: str, ours: Ask, theirs: Ask) -> None:
    """Print every figure for one model."""
    decode(ours), decode(theirs)  # pages of the file are read, clocks are up
    turns: dict[str, Callable[[Ask], float]] = {
        "decode": decode,
        "prefill": prefill,
        "second turn": partial(second_turn, between=False),
        "between": partial(second_turn, between=True),
    }
    words = {
        "decode": ("decode", "tokens/s"),
        "prefill": ("prefill of 400 tokens", "1/s"),
        "second turn": ("a second turn's first token", "1/s"),
        "between": ("the same after another conversation", "1/s"),
    }
    for kind, once in turns.items():
        pairs = rounds(once, ours, theirs)
        ratio(f"{name}: {words[kind][0]}, ours / llama_cpp.Llama", median_ratio(pairs), LEAST[kind])
        figure(f"{name}: {words[kind][0]}, {words[kind][1]}", medians(pairs, ".2f"))
    both = rounds(at_once, ours, theirs)
    pairs = [(mine[0], other[0]) for mine, other in both]
    ratio(f"{name}: {ASKERS} askers, ours / llama_cpp.Llama", median_ratio(pairs), LEAST["askers"])
    figure(f"{name}: {ASKERS} askers, tokens/s", medians(pairs))
    figure(f"{name}: {ASKERS} askers, longest wait, s", medians([(mine[1], other[1]) for mine, other in both], ".2f"))


def rounds(once: Callable[[Ask], Any], ours: Ask, theirs: Ask) -> list[Any]:
    """Pairs in turns."""
    return abba(lambda _: once(ours), lambda _: once(theirs), ROUNDS)


def measure(name: str, file: Path) -> None:
    """Both keep the model in memory all the time; its file's pages are shared."""
    import llama_cpp

    from engine.llama.load import LoadSettings
    from engine.resident import Serving, take_in

    settings = LoadSettings(context_size=CONTEXT, threads=THREADS, sequences=ASKERS)
    resident = take_in(name, file, settings, Serving(), lambda done: True)
    llama = llama_cpp.Llama(str(file), n_ctx=CONTEXT, n_threads=THREADS, n_threads_batch=THREADS, verbose=False)
    compare(name, partial(ask_ours, resident), partial(ask_theirs, llama, threading.Lock()))
    llama.close()
    resident.stop()
    resident.close()


def main() -> None:
    private_home()
    files = {"qwen": ("Qwen2.5-Coder-0.5B", qwen_coder), "smollm2": ("SmolLM2-135M", smollm2)}
    for key in sys.argv[1:] or files:
        name, file = files[key]
        measure(name, file())


if __name__ == "__main__":
    main()
