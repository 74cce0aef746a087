"""Models that read a text chunk by chunk, each chunk from an empty memory: for measuring one, or two of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.llama.batch import Outcome
from engine.llama.brake import Brake
from engine.llama.load import LoadSettings, Progress, load
from engine.llama.quiet import library, lines
from engine.llama.rows import Rows
from models.gguf_header import read as header

if TYPE_CHECKING:
    from engine.llama.hook import Floats, Hook

STEP = 512  # tokens computed at once
NEW_TOKENS = 24  # written to see how fast that goes
PADDING = 256  # llama.cpp rounds contexts up to it


@dataclass(frozen=True)
class Reading:
    """How a text is read: chunks of `context` tokens, `sequences` of them at once; `threads` 0 = one a core,
    `gpu_layers` -1 = all that fit."""

    context: int = 512
    sequences: int = 1
    threads: int = 0
    gpu_layers: int = -1


class Reader:
    """A loaded model that reads chunks. Close it. Raises what `load` raises, and UserError cannot_measure for models
    that do not write."""

    def __init__(
        self, path: Path, reading: Reading, hook: Hook | None = None, progress: Progress = lambda done: True
    ) -> None:
        header(path)  # what is no model is said in better words than llama.cpp's
        self.reading, self._hook = reading, hook
        size = max(STEP, reading.sequences * min(reading.context, STEP))
        settings = LoadSettings(
            context_size=reading.context,
            threads=reading.threads,
            gpu_layers=reading.gpu_layers,
            batch_size=size,
            ubatch=size,
            sequences=reading.sequences,
        )
        self.model = load(path, settings, progress, self._adjust)
        self.context = min(reading.context, self.model.train_context)
        self.tokens, self.seconds = 0, 0.0  # read so far, and how long that took
        self._check(path)
        self._rows, self._size, self._count = Rows(size), size, 0
        self._brake = Brake(self.model.context)

    def read(
        self, chunks: list[list[int]], first: int = 0, given_up: Callable[[], bool] = lambda: False
    ) -> Iterator[list[tuple[int, int]]]:
        """Read chunks (at most `sequences`, equally long) from an empty memory, step by step.

        Gives after each step (chunk, position) of every token whose `logits` can be had: those from `first` on.
        Raises Cancelled once `given_up`, UserError out_of_memory.
        """
        c = library()
        c.llama_memory_clear(c.llama_get_memory(self.model.context), True)
        width = max(1, self._size // len(chunks))
        for start in range(0, len(chunks[0]), width):
            wanted = self._fill(chunks, start, width, first)
            self._decode(given_up)
            yield wanted

    def logits(self, count: int) -> Floats:
        """Of the last step, [count, vocabulary]; a view that the next step overwrites."""
        import numpy as np

        pointer = library().llama_get_logits(self.model.context)
        return np.ctypeslib.as_array(pointer, (count, self.model.vocab_size))

    def write(self, tokens: list[int], given_up: Callable[[], bool] = lambda: False) -> float:
        """Tokens a second when writing: read `tokens`, then decode NEW_TOKENS one by one."""
        for _ in self.read([tokens[: self.context - NEW_TOKENS]], len(tokens), given_up):
            pass
        before, start = (self.tokens, self.seconds), len(tokens[: self.context - NEW_TOKENS])
        begun = time.perf_counter()
        for number in range(NEW_TOKENS):
            self._fill([[*([0] * (start + number)), tokens[number]]], start + number, 1, 0)
            self._decode(given_up)
        taken = time.perf_counter() - begun
        self.tokens, self.seconds = before
        return NEW_TOKENS / taken

    def chunk(self, tokens: list[int]) -> list[int]:
        """A chunk as it is read: its first token gives way to the one that begins a text, as llama-perplexity does."""
        c = library()
        begin = int(c.llama_vocab_bos(self.model.vocab))
        return [begin, *tokens[1:]] if c.llama_vocab_get_add_bos(self.model.vocab) and begin >= 0 else tokens

    def vocabulary(self) -> str:
        """A hash of all tokens' texts and of how a text begins: equal for models that read the same ids."""
        c, found = library(), hashlib.sha256()
        for token in range(self.model.vocab_size):
            found.update((c.llama_vocab_get_text(self.model.vocab, token) or b"") + b"\0")
        found.update(bytes([bool(c.llama_vocab_get_add_bos(self.model.vocab))]))
        return found.hexdigest()

    def close(self) -> None:
        """Give the memory back. Calling it twice does no harm."""
        self.model.close()

    def _adjust(self, params: Any) -> None:
        """Sequences have nothing in common: each its own memory."""
        params.kv_unified = False
        each = -(-params.n_ctx // PADDING) * PADDING
        params.n_ctx = each * self.reading.sequences
        if self._hook:
            params.cb_eval = self._hook.callback

    def _check(self, path: Path) -> None:
        if not self.model.embeds_only and not library().llama_model_has_encoder(self.model.handle):
            return
        self.close()
        raise UserError(
            "cannot_measure",
            f"{path.name} is no model that writes on, so this cannot be measured with it.",
            "Choose a chat model or a base model.",
            name=path.name,
        )

    def _fill(self, chunks: list[list[int]], start: int, width: int, first: int) -> list[tuple[int, int]]:
        wanted: list[tuple[int, int]] = []
        self._count = 0
        for number, chunk in enumerate(chunks):
            part = chunk[start : start + width]
            end = start + len(part)
            begin = min(max(first, start), end)
            self._count = self._rows.put(self._count, part, start, number, end - begin)
            wanted += [(number, position) for position in range(begin, end)]
        return wanted

    def _decode(self, given_up: Callable[[], bool]) -> None:
        c, begun = library(), time.perf_counter()
        if self._hook:
            self._hook.begin()
        with self._brake.pulled_by(given_up):
            status = self._rows.run(c.llama_decode, self.model.context, self._count)
            c.llama_synchronize(self.model.context)
        self.seconds += time.perf_counter() - begun
        self.tokens += self._count
        if status == Outcome.ABORTED.value or given_up():
            raise Cancelled
        if status:
            detail = lines.last_error() or f"status {status}"
            raise UserError(
                "out_of_memory",
                f"llama.cpp could not go on: {detail}.",
                "Choose a smaller context.",
                detail=detail,
            )
