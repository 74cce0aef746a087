"""A loaded model: its weights, its words, and one context to run it in."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.llama.contexts import free_context
from engine.llama.logits import Logits
from engine.llama.quiet import library

# Tokens read at once on a processor: more is no faster, and progress would be seldom told.
STEP = 256


@dataclass
class Model:
    """One model in memory. Not thread-safe, but for `tokenize` and `piece`, which only read.

    `memory` holds llama.cpp's own figures in bytes: weights, kv_cache, compute, output. `cards` says how much of it
    lies on each graphics card, by llama.cpp's name of it; `private` how much in main memory, but for the weights.
    """

    handle: Any  # llama_model *
    context: Any  # llama_context *
    threads: int
    batch_size: int
    sequences: int
    gpu_layers: int
    memory: dict[str, int]
    borrowed: bool = False  # the weights are another's, and stay when this is closed
    cards: dict[str, int] = field(default_factory=dict)
    private: int = 0

    def __post_init__(self) -> None:
        c = library()
        self.vocab = c.llama_model_get_vocab(self.handle)
        self.vocab_size = int(c.llama_vocab_n_tokens(self.vocab))
        self.logits = Logits(self.vocab_size)
        self.context_size = int(c.llama_n_ctx_seq(self.context))
        self.train_context = int(c.llama_model_n_ctx_train(self.handle))
        self.description = self._describe()
        self._shown: frozenset[int] = frozenset()
        self._pieces: dict[int, bytes] = {}  # of tokens written so far
        self._ends: dict[int, bool] = {}

    @property
    def step_size(self) -> int:
        """Tokens of a prompt to decode between two reports of progress. Fixed, so that equal requests stay equal."""
        return self.batch_size if self.gpu_layers else min(STEP, self.batch_size)

    @cached_property
    def needs_cores(self) -> bool:
        """Whether some of it is computed on the processor."""
        return self.gpu_layers <= int(library().llama_model_n_layer(self.handle))

    @property
    def embeds_only(self) -> bool:
        """Whether this is an encoder, which gives vectors and cannot write: it keeps nothing of what it read."""
        return not library().llama_get_memory(self.context)

    @property
    def template(self) -> str | None:
        """The chat template of the model file, None for a base model."""
        text = library().llama_model_chat_template(self.handle, None)
        return text.decode("utf-8", "replace") if text else None

    @property
    def bos(self) -> str:
        """The text of the token that begins a text, "" if the model has none."""
        return self._special(library().llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> str:
        """The text of the token that ends a text, "" if the model has none."""
        return self._special(library().llama_vocab_eos(self.vocab))

    @property
    def adds_bos(self) -> bool:
        """Whether the model wants every text to begin with its BOS token."""
        return bool(library().llama_vocab_get_add_bos(self.vocab)) and bool(self.bos)

    def is_end(self, token: int) -> bool:
        """Whether `token` ends an answer."""
        known = self._ends.get(token)
        if known is None:
            known = self._ends[token] = bool(library().llama_vocab_is_eog(self.vocab, token))
        return known

    def show(self, texts: list[str]) -> None:
        """Let `piece` write out these control tokens, which it leaves out otherwise."""
        tokens = [self.tokenize(text) for text in texts]
        self._shown = frozenset(t[0] for t in tokens if len(t) == 1)
        self._pieces.clear()

    def tokenize(self, text: str, special: bool = True, add_bos: bool = False) -> list[int]:
        """The tokens of `text`; `special` reads control tokens written as text, `add_bos` puts BOS in front."""
        c, data = library(), text.encode("utf-8", "replace")
        tokens = (ctypes.c_int32 * (len(data) + 8))()
        count = c.llama_tokenize(self.vocab, data, len(data), tokens, len(tokens), False, special)
        if count < 0:
            raise ValueError(f"llama.cpp could not cut {len(data)} bytes into tokens")
        bos = [int(c.llama_vocab_bos(self.vocab))] if add_bos and self.bos else []
        return bos + tokens[:count]

    def piece(self, token: int) -> bytes:
        """The bytes of one token: often a part of a word, sometimes a part of a letter. b"" for control tokens."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._piece(token, token in self._shown)
        return known

    def text_of(self, token: int) -> str:
        """The text of a token as it is written in templates, control tokens included."""
        return self._special(token)

    def close(self) -> None:
        """Give the memory back. Calling it twice does no harm."""
        context, handle = self.context, self.handle
        self.context = self.handle = None
        if context:
            free_context(context)
        if handle and not self.borrowed:
            library().llama_model_free(handle)

    def _special(self, token: int) -> str:
        return self._piece(token, True).decode("utf-8", "replace") if token >= 0 else ""

    def _piece(self, token: int, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(256)
        size = library().llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = library().llama_token_to_piece(self.vocab, token, buffer, len(buffer), 0, special)
        return buffer.raw[:size]

    def _describe(self) -> str:
        buffer = ctypes.create_string_buffer(256)
        library().llama_model_desc(self.handle, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")
