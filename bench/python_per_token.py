"""What our Python costs a written token: processor time of the model's thread outside llama.cpp.

Chats are asked as the window asks them, in an engine in this process, so that the thread does all it ever does: plan
the step, take the token, cut the text, store it, tell the client. llama_decode and llama_sampler_sample are timed
where the engine finds them; that costs each token some 2 microseconds more, which are counted as ours.
"""

from __future__ import annotations

import itertools
import json
import queue
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _engine import THREADS, private_home, qwen_coder, smollm2
from _figures import figure

CONTEXT, TOKENS, ROUNDS, MOST = 4096, 64, 3, 3.0
LONGEST_STEP = 16  # tokens in one llama_decode; more of them are a prompt that is read


@dataclass
class Spent:
    """Seconds of the steps that wrote `tokens`: all, our processor time, and all of it outside llama.cpp."""

    tokens: int = 0
    whole: float = 0.0
    ours: float = 0.0
    outside: float = 0.0


@dataclass
class Watch:
    """Stands where the engine finds llama.cpp's two functions that every token needs."""

    c: Any
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self._decode, self._sample = self.c.llama_decode, self.c.llama_sampler_sample
        self.c.llama_decode, self.c.llama_sampler_sample = self.decode, self.sample
        self.begin()

    def begin(self) -> None:
        """Count anew."""
        self.spent, self._writing = Spent(), False
        self._entered = self._left = self._left_cpu = self._sampled = self._sampled_cpu = 0.0
        self._tokens = 0

    def decode(self, context: Any, batch: Any) -> int:
        """llama_decode; what lay between it and the one before was ours, but for the sampling."""
        now, cpu = time.perf_counter(), time.thread_time()
        if self._writing and batch.n_tokens <= LONGEST_STEP:
            self.spent.tokens += self._tokens
            self.spent.whole += now - self._entered
            self.spent.ours += cpu - self._left_cpu - self._sampled_cpu
            self.spent.outside += now - self._left - self._sampled
        self._entered, self._writing = now, batch.n_tokens <= LONGEST_STEP
        self._tokens, self._sampled, self._sampled_cpu = 0, 0.0, 0.0
        status = int(self._decode(context, batch))
        self._left, self._left_cpu = time.perf_counter(), time.thread_time()
        return status

    def sample(self, chain: Any, context: Any, index: int) -> int:
        """llama_sampler_sample."""
        begun, cpu = time.perf_counter(), time.thread_time()
        token = int(self._sample(chain, context, index))
        self._tokens += 1
        self._sampled += time.perf_counter() - begun
        self._sampled_cpu += time.thread_time() - cpu
        return token


class Asking:
    """Blocking calls, from any number of threads, over the engine's own pipe."""

    def __init__(self, core: Any) -> None:
        from engine.pipe import Client

        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._replies: dict[int, queue.SimpleQueue[dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        client = Client(core, self._hear)
        self._thread = threading.Thread(target=client.serve, args=(iter(self._lines.get, None),))
        self._thread.start()

    def ask(self, name: str, **params: Any) -> dict[str, Any]:
        """The result of one request."""
        number = next(self._numbers)
        self._replies[number] = queue.SimpleQueue()
        self._lines.put(json.dumps({"id": number, "call": name, "params": params}).encode() + b"\n")
        reply = self._replies[number].get()
        if "error" in reply:
            raise RuntimeError(f"{name}: {reply['error']}")
        return dict(reply["result"])

    def close(self) -> None:
        """End the pipe."""
        self._lines.put(None)
        self._thread.join()

    def _hear(self, line: bytes) -> None:
        message = json.loads(line)
        if "result" in message or ("error" in message and "event" not in message):
            self._replies[message["id"]].put(message)


@contextmanager
def engine() -> Iterator[Asking]:
    """An engine in this process, as `python -m engine` sets it up."""
    from engine.__main__ import _share_the_interpreter
    from engine.core import Core

    private_home()
    _share_the_interpreter()
    core = Core()
    asking = Asking(core)
    asking.ask("settings.set", values={"context_size": CONTEXT, "threads": THREADS})
    try:
        yield asking
    finally:
        asking.close()
        core.close()


def write(asking: Asking, watch: Watch, model: str, number: int, sequences: int) -> Spent:
    """So many chats at once, each TOKENS long."""
    bias = {str(token): -1000.0 for token in (0, 2, 151643, 151645)}  # answers that go on to the end
    sampling = {"max_tokens": TOKENS, "logit_bias": bias}
    chats = [asking.ask("chats.create", model=model, sampling=sampling)["id"] for _ in range(sequences)]
    texts = [f"Story {number}-{chat}: once upon a time there was a ship. Go on." for chat in range(sequences)]
    watch.begin()
    threads = [
        threading.Thread(target=asking.ask, args=("chat.send",), kwargs={"chat": chat, "text": text})
        for chat, text in zip(chats, texts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return watch.spent


def measure(name: str, file: Path, watch: Watch, goal: float | None) -> None:
    """Both numbers of sequences, with one model."""
    with engine() as asking:
        model = asking.ask("models.add", path=str(file))["models"][0]["id"]
        for ahead, sequences in ((False, 1), (False, 4), (True, 1)):
            asking.ask("settings.set", values={"guess_ahead": ahead})
            asking.ask("models.unload")
            runs = [write(asking, watch, model, number, sequences) for number in range(ROUNDS + 1)][1:]
            tell(f"{name}, {sequences} at once{', guessing ahead' if ahead else ''}", runs, goal)


def tell(name: str, runs: list[Spent], goal: float | None) -> None:
    """The figures: a token's microseconds, and their share of what the token took in all."""
    share = statistics.median(100 * run.ours / run.whole for run in runs)
    waited = statistics.median(100 * run.outside / run.whole for run in runs)
    micro = statistics.median(1e6 * run.ours / run.tokens for run in runs)
    whole = statistics.median(1e6 * run.whole / run.tokens for run in runs)
    figure(f"{name}: our Python, µs a token", f"{micro:.0f} of {whole:.0f}")
    words = (f"< {goal:g}", share < goal) if goal else ("", None)
    figure(f"{name}: our Python, % of a token's time", f"{share:.2f}", *words)
    figure(f"{name}: % of the time outside llama.cpp", f"{waited:.2f}")


def main() -> None:
    private_home()
    from engine.llama.quiet import library

    watch = Watch(library())
    measure("Qwen2.5-Coder-0.5B", qwen_coder(), watch, MOST)
    measure("SmolLM2-135M", smollm2(), watch, None)


if __name__ == "__main__":
    main()
