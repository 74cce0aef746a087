"""llama.cpp with nothing around it but ctypes: what everything else is held against.

`_bare.py FILE CONTEXT THREADS` answers once as a process of its own, says so, and stays until stdin ends.
"""

from __future__ import annotations

import ctypes
import sys
import time
from pathlib import Path
from typing import Any

BATCH = 512
WORDS = "Tell me of the sea, of ships, and of the people who live beside it. " * 4


class Bare:
    """Decode, take the likeliest token, again. `context` in tokens, of all `sequences` together."""

    def __init__(self, file: Path, threads: int, context: int, sequences: int = 1) -> None:
        import llama_cpp

        self.api: Any = llama_cpp
        self._hear: Any = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(self._hear, None)
        model = llama_cpp.llama_model_load_from_file(str(file).encode(), llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = context, BATCH, BATCH
        params.n_threads = params.n_threads_batch = threads
        params.n_seq_max, params.kv_unified = sequences, True
        self.context: Any = llama_cpp.llama_init_from_model(model, params)
        self._model: Any = model
        self.vocabulary: Any = llama_cpp.llama_model_get_vocab(model)
        self.sampler: Any = llama_cpp.llama_sampler_init_greedy()

    def close(self) -> None:
        """Free the model."""
        self.api.llama_free(self.context)
        self.api.llama_model_free(self._model)

    def tokens(self, prompt: str) -> list[int]:
        """The prompt as tokens, control tokens read as such."""
        raw = prompt.encode()
        room = (self.api.llama_token * (len(raw) + 8))()
        count = self.api.llama_tokenize(self.vocabulary, raw, len(raw), room, len(room), False, True)
        return list(room[:count])

    def run(self, prompt: list[int], held: int, most: int) -> tuple[float, float]:
        """(prefill, decode) in tokens a second: `prompt` but for its first `held` tokens, then `most` more."""
        self.cut(0)
        self.read(prompt[:held])
        start = time.perf_counter()
        self.read(prompt[held:])
        token = self.api.llama_sampler_sample(self.sampler, self.context, -1)
        first = time.perf_counter()
        for _ in range(most - 1):
            self._decode([token])
            token = self.api.llama_sampler_sample(self.sampler, self.context, -1)
        return (len(prompt) - held) / (first - start), (most - 1) / (time.perf_counter() - first)

    def together(self, prompts: list[list[int]], most: int) -> float:
        """Tokens a second of all together, from the first prompt's first token on: that prompt is read alone, as of
        who comes first, the others in one batch, and then everybody has a token a step."""
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)
        batch = self.api.llama_batch_init(sum(map(len, prompts)), 0, 1)
        chosen = self._read_rows(batch, prompts[:1], 0)
        begun = time.perf_counter()
        if prompts[1:]:
            chosen += self._read_rows(batch, prompts[1:], 1)
        for step in range(most - 1):
            self._decode_rows(batch, [(token, len(prompts[n]) + step, n, True) for n, token in enumerate(chosen)])
            chosen = [self._likeliest(place) for place in range(len(prompts))]
        took = time.perf_counter() - begun
        self.api.llama_batch_free(batch)
        return len(prompts) * most / took

    def _read_rows(self, batch: Any, prompts: list[list[int]], first: int) -> list[int]:
        """The first token of each prompt; they are the sequences from `first` on."""
        ends = [len(prompt) - 1 for prompt in prompts]
        rows = [
            (token, at, first + number, at == ends[number])
            for number, prompt in enumerate(prompts)
            for at, token in enumerate(prompt)
        ]
        self._decode_rows(batch, rows)
        return [self._likeliest(place) for place, row in enumerate(rows) if row[3]]

    def _likeliest(self, place: int) -> int:
        """By numpy: llama.cpp's own sampler first copies the whole vocabulary."""
        import numpy as np

        size = self.api.llama_vocab_n_tokens(self.vocabulary)
        logits = self.api.llama_get_logits_ith(self.context, place)
        return int(np.ctypeslib.as_array(logits, (size,)).argmax())

    def _decode_rows(self, batch: Any, rows: list[tuple[int, int, int, bool]]) -> None:
        """Rows of (token, position, sequence, whether logits are wanted)."""
        batch.n_tokens = len(rows)
        for place, (token, at, sequence, logits) in enumerate(rows):
            batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, at, 1
            batch.seq_id[place][0], batch.logits[place] = sequence, logits
        if self.api.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")

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


def main() -> None:
    bare = Bare(Path(sys.argv[1]), context=int(sys.argv[2]), threads=int(sys.argv[3]))
    bare.run(bare.tokens(WORDS), 0, 48)
    print("answered", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
