"""Tokens a second through client, pipe, engine and model, against a bare loop over llama_cpp in the same run."""

from __future__ import annotations

import ctypes
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _engine import Talk, private_home, smollm2
from _figures import figure, ratio

ROUNDS, TOKENS, CONTEXT, BATCH = 11, 128, 2048, 512
THREADS = max(1, (os.cpu_count() or 2))
LEAST = 0.97


class Bare:
    """llama.cpp with nothing around it: decode, take the likeliest token, again."""

    def __init__(self, file: Path) -> None:
        import llama_cpp

        self.api: Any = llama_cpp
        model = llama_cpp.llama_model_load_from_file(str(file).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = CONTEXT, BATCH, BATCH
        params.n_threads = params.n_threads_batch = THREADS
        self.context: Any = llama_cpp.llama_init_from_model(model, params)
        self.vocabulary: Any = llama_cpp.llama_model_get_vocab(model)
        self.sampler: Any = llama_cpp.llama_sampler_init_greedy()

    def tokens(self, prompt: str) -> list[int]:
        """The prompt as tokens, control tokens read as such."""
        raw = prompt.encode()
        room = (self.api.llama_token * (len(raw) + 8))()
        count = self.api.llama_tokenize(self.vocabulary, raw, len(raw), room, len(room), False, True)
        return list(room[:count])

    def run(self, prompt: list[int], held: int) -> tuple[float, float]:
        """(prefill, decode) in tokens a second: `prompt` but for its first `held` tokens, then TOKENS more."""
        self.cut(0)
        self.read(prompt[:held])
        start = time.perf_counter()
        self.read(prompt[held:])
        token = self.api.llama_sampler_sample(self.sampler, self.context, -1)
        first = time.perf_counter()
        for _ in range(TOKENS - 1):
            self._decode([token])
            token = self.api.llama_sampler_sample(self.sampler, self.context, -1)
        return (len(prompt) - held) / (first - start), (TOKENS - 1) / (time.perf_counter() - first)

    def cut(self, length: int) -> None:
        """Leave the first `length` tokens in the cache."""
        self.api.llama_memory_seq_rm(self.api.llama_get_memory(self.context), 0, length, -1)

    def read(self, tokens: list[int]) -> None:
        """Decode tokens after those in the cache."""
        for at in range(0, len(tokens), BATCH):
            self._decode(tokens[at : at + BATCH])

    def _decode(self, tokens: list[int]) -> None:
        room = (self.api.llama_token * len(tokens))(*tokens)
        batch = self.api.llama_batch_get_one(ctypes.cast(room, ctypes.POINTER(self.api.llama_token)), len(tokens))
        if self.api.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")


@dataclass(frozen=True)
class Answer:
    """One answer as the window saw it: tokens a second, and what the model was given for it."""

    prefill: float
    decode: float
    prompt: str
    reused: int


def through_the_house(talk: Talk, number: int) -> Answer:
    """One long question, answered through client, pipe, engine and model."""
    # A new beginning each time, or the engine would not read the prompt again.
    story = " ".join(f"On day {number}-{i} the ship sailed {i * 7} miles to the north." for i in range(24))
    bias = {str(token): -1000.0 for token in (0, 2)}  # an answer that goes on to the end
    chat = talk.ask("chats.create", sampling={"temperature": 0.0, "max_tokens": TOKENS, "logit_bias": bias})
    start = time.perf_counter()
    answer = talk.ask("chat.send", chat=chat["id"], text=f"{number} {story} Tell how it went on.")["message"]
    times, stats = talk.token_times(), answer["stats"]
    assert stats["tokens"] == TOKENS, stats
    reused = stats["reused_tokens"]  # the beginning every chat shares
    prefill = (stats["prompt_tokens"] - reused) / (times[0] - start)
    prompt = talk.ask("chat.sent", message=answer["id"])["prompt"]
    return Answer(prefill, (TOKENS - 1) / (times[-1] - times[0]), prompt, reused)


def main() -> None:
    private_home()
    file = smollm2()
    talk = Talk()
    talk.ask("settings.set", values={"context_size": CONTEXT, "threads": THREADS})
    model = talk.ask("models.add", path=str(file))["models"][0]["id"]
    talk.ask("models.load", model=model)
    bare = Bare(file)
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(ROUNDS + 1):
        answer = through_the_house(talk, number)
        alone = bare.run(bare.tokens(answer.prompt), answer.reused)
        pairs.append(((answer.prefill, answer.decode), alone))
    talk.client.close()
    for place, name in enumerate(("prefill", "decode")):
        rates = [(house[place], alone[place]) for house, alone in pairs[1:]]
        # Each pair ran one after the other: a neighbour who slows the machine for a minute slows both.
        ratio(f"{name}, whole path / bare llama.cpp", statistics.median(h / a for h, a in rates), LEAST)
        figure(f"{name}, tokens/s", " / ".join(f"{statistics.median(side):.1f}" for side in zip(*rates, strict=True)))


if __name__ == "__main__":
    main()
