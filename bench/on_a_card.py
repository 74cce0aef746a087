"""Tokens a second on a graphics card, through a loaded model against a bare loop over llama.cpp in the same run.

Two models: the starter model, where our own time counts most, and one with the dimensions of an 8B model and random
weights. Without a card it says so and measures nothing.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _engine import eight_b, smollm2
from _figures import figure, ratio

CONTEXT, TOGETHER, TOKENS, ROUNDS = 8192, 8, 128, 5
NEVER = (0, 2)  # the tokens that end an answer
LEAST = 0.97


class Bare:
    """llama.cpp on a context of its own over the same weights."""

    def __init__(self, model: Any) -> None:
        import llama_cpp

        self.api: Any = llama_cpp
        self._model = model
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = CONTEXT, 512, 512
        params.n_seq_max, params.kv_unified = TOGETHER, True
        params.n_threads = params.n_threads_batch = model.threads
        self.context: Any = llama_cpp.llama_init_from_model(model.handle, params)
        self.batch: Any = llama_cpp.llama_batch_init(512, 0, 1)
        self.sampler = self._sampler(model)

    def _sampler(self, model: Any) -> Any:
        api = self.api
        bans = (api.llama_logit_bias * len(NEVER))(*[api.llama_logit_bias(token, -1000.0) for token in NEVER])
        chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
        api.llama_sampler_chain_add(chain, api.llama_sampler_init_logit_bias(model.vocab_size, len(NEVER), bans))
        api.llama_sampler_chain_add(chain, api.llama_sampler_init_greedy())
        return chain

    def run(self, texts: list[str]) -> dict[str, float]:
        """Tokens a second, all prompts together: TOKENS more for each."""
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        begun = time.perf_counter()
        prompts = [self._model.tokenize(text) for text in texts]
        tokens = [self._read(prompt, number) for number, prompt in enumerate(prompts)]
        first = time.perf_counter()
        for step in range(TOKENS - 1):
            rows = [(token, len(prompts[n]) + step, n, True) for n, token in enumerate(tokens)]
            self._decode(rows)
            tokens = [self.api.llama_sampler_sample(self.sampler, self.context, n) for n in range(len(rows))]
        done = time.perf_counter()
        return _rates(sum(map(len, prompts)), len(prompts), begun, first, done)

    def _read(self, prompt: list[int], number: int) -> int:
        for at in range(0, len(prompt), 512):
            piece = prompt[at : at + 512]
            self._decode([(token, at + i, number, at + i == len(prompt) - 1) for i, token in enumerate(piece)])
        return int(self.api.llama_sampler_sample(self.sampler, self.context, -1))

    def _decode(self, rows: list[tuple[int, int, int, bool]]) -> None:
        batch = self.batch
        for at, (token, place, number, logits) in enumerate(rows):
            batch.token[at], batch.pos[at], batch.logits[at] = token, place, logits
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, number
        batch.n_tokens = len(rows)
        if self.api.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")

    def close(self) -> None:
        """Give the memory back."""
        self.api.llama_batch_free(self.batch)
        self.api.llama_free(self.context)


@contextmanager
def resident(file: Path) -> Iterator[Any]:
    """The model in memory as Deskside holds it."""
    from engine.llama.load import LoadSettings
    from engine.resident import Serving, take_in

    settings = LoadSettings(context_size=CONTEXT, sequences=TOGETHER)
    made = take_in(file.stem, file, settings, Serving(speculate=False), lambda done: True)
    yield made
    made.stop()
    made.close()


def ours(made: Any, prompts: list[str]) -> dict[str, float]:
    """Tokens a second, all prompts together, as their askers saw it."""
    from engine.api.sampling import Sampling
    from engine.generation import Generation

    sampling = Sampling(temperature=0, max_tokens=TOKENS, logit_bias=dict.fromkeys(NEVER, -1000.0))
    heard = [Heard() for _ in prompts]
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(prompts)) as pool:
        asked = [Generation(prompt, sampling, speculate=False) for prompt in prompts]
        stats = list(pool.map(lambda g, h: made.generate(g, h, threading.Event()), asked, heard))
    read = sum(one["prompt_tokens"] - one["reused_tokens"] for one in stats)
    first, done = max(one.times[0] for one in heard), max(one.times[-1] for one in heard)
    return _rates(read, len(prompts), begun, first, done)


def _rates(read: int, many: int, begun: float, first: float, done: float) -> dict[str, float]:
    """Tokens a second: of prompts, of answers after their first token, and of answers by the clock of it all."""
    written = many * (TOKENS - 1)
    return {"prefill": read / (first - begun), "decode": written / (done - first), "whole": written / (done - begun)}


class Heard:
    """Notes when each piece of an answer came."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """Not noted."""

    def text(self, piece: str) -> None:
        """One more."""
        self.times.append(time.perf_counter())


def prompts_of(many: int, round_number: int, length: int) -> list[str]:
    """Texts that share no beginning."""
    line = "On day {} the ship sailed {} miles to the north and met nobody. "
    return [
        f"{round_number}-{one} " + "".join(line.format(i, i * 7 + one) for i in range(length)) for one in range(many)
    ]


def measure(file: Path, name: str) -> None:
    """Print this model's figures."""
    with resident(file) as made:
        bare = Bare(made._model)
        for many, length in ((1, 90), (TOGETHER, 12)):
            pairs = []
            for number in range(ROUNDS + 1):
                prompts = prompts_of(many, number, length)
                pairs.append((ours(made, prompts), bare.run(prompts)))
            told = ("prefill", "decode", "whole") if many == 1 else ("whole",)
            for what in told:
                rates = [(house[what], alone[what]) for house, alone in pairs[1:]]
                middle = statistics.median(h / a for h, a in rates)
                title = f"{name}, {made.info.gpu_layers} layers on the card, {many} at once, {what}"
                ratio(f"{title}, ours / bare llama.cpp", middle, LEAST)
                both = " / ".join(f"{statistics.median(side):.0f}" for side in zip(*rates, strict=True))
                figure(f"{title}, tokens/s", both)
        bare.close()


def main() -> None:
    """Measure where there is a card."""
    from engine.llama.devices import cards

    found = cards()
    if not found:
        figure("graphics card", "llama.cpp sees none here")
        return
    figure("graphics card", str(found[0]["description"]))
    measure(smollm2(), "SmolLM2 135M")
    measure(eight_b(), "8B of random weights")


if __name__ == "__main__":
    main()
