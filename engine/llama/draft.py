"""A small model that guesses for a big one with the same words."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.llama.batch import Batch, Outcome
from engine.llama.load import LoadSettings, Progress, load
from engine.llama.model import Model
from engine.llama.quiet import library, lines
from engine.llama.slot import Slot, can_be_cut, shared_prefix
from engine.llama.speculate import DRAFT_ODDS
from models.damage import damaged

LEAST = 0.5  # the probability below which a guess is not worth checking, nor what would follow it
SIZES_APART = 128  # tokens: models of one family are padded differently
EVERY = 7  # tokens are compared; a rare other word costs a wrong guess, no more
EDGE = 300  # the first and the last are all compared: letters and control tokens
READ_S = 0.2  # a portion of a prompt that is read between two tokens of the answer takes no longer than this
LEAST_PORTION, PORTION = 32, 256  # tokens


class DraftModel:
    """A model with a context of its own, that follows one sequence at a time. Belongs to the target's thread.

    `price` and `read_price` are what a guess and a token of a prompt take lately, in seconds, `odds` how often a guess
    was right: learnt once for all requests.
    """

    def __init__(self, target: Model, draft: Model, target_name: str = "", draft_name: str = "") -> None:
        """Takes over `draft`, unless it raises UserError draft_mismatch: other words than the target's."""
        different = _difference(target.handle, draft.handle) or _unfit(draft)
        if different:
            raise mismatch(target_name, draft_name, different)
        self.model = draft
        self._known = min(target.vocab_size, draft.vocab_size)
        self._slot, self._batch = Slot(draft, 0), Batch(draft)
        self.price, self.read_price, self.odds = 0.0, 0.0, DRAFT_ODDS
        self.warm = False  # the first pass brings the weights in from the disk: its time says nothing

    @classmethod
    def open(
        cls,
        path: Path,
        settings: LoadSettings,
        target: Model,
        target_name: str,
        progress: Progress = lambda done: True,
    ) -> DraftModel:
        """Load a GGUF file as the draft of `target`. Raises Cancelled, the UserErrors of `load`, and draft_mismatch."""
        model = load(path, settings, progress)
        try:
            return cls(target, model, target_name, path.stem)
        except UserError:
            model.close()
            raise

    def can_follow(self, tokens: list[int]) -> bool:
        """Whether there is room for these tokens, and none that the draft does not know."""
        room = 0 < len(tokens) < self.model.context_size
        return room and max(tokens) < self._known and min(tokens) >= 0

    def missing(self, tokens: list[int]) -> int:
        """How many of these tokens are still to be read, from the end."""
        return len(tokens) - shared_prefix(self._slot.held, tokens)

    def follow(self, tokens: list[int], given_up: Callable[[], bool] = lambda: False) -> bool:
        """Have exactly these tokens in the cache, reading only what is missing. False if that was not possible."""
        slot = self._slot
        if not self.can_follow(tokens):
            return False
        slot.cut(min(shared_prefix(slot.held, tokens), len(tokens) - 1))
        while len(slot.held) < len(tokens):
            start = len(slot.held)
            if not self._add(tokens[start : start + self._batch.size], given_up):
                return False
        return True

    def propose(self, most: int) -> list[int]:
        """At most `most` tokens that the draft would write after those it followed, as far as it is certain of them."""
        slot, guess = self._slot, list[int]()
        start = len(slot.held)
        room = min(most, self.model.context_size - start - 1)
        while slot.held and len(guess) < room:
            token, chance = self._likeliest()
            if chance < LEAST or token >= self._known or self.model.is_end(token):
                break
            guess.append(token)
            if len(guess) == room or not self._add([token], lambda: False):
                break
        return guess

    def close(self) -> None:
        """Give the memory back. Calling it twice does no harm."""
        self.model.close()

    def _add(self, tokens: list[int], given_up: Callable[[], bool]) -> bool:
        slot, batch = self._slot, self._batch
        batch.clear()
        batch.add(tokens, slot, 1)
        if batch.decode(given_up, False) is not Outcome.DONE:
            slot.cut(len(slot.held))
            return False
        slot.held.extend(tokens)
        return True

    def _likeliest(self) -> tuple[int, float]:
        """The token with the highest probability, and that."""
        import numpy as np

        logits = self.model.logits.of(self.model.context, -1)
        token = int(logits.argmax())
        return token, float(1 / np.exp(logits - logits[token]).sum())


class Drafting:
    """One request's guesses by a draft model that serves one request after another."""

    def __init__(self, draft: DraftModel, tokens: list[int] | None = None) -> None:
        """`tokens`: the prompt. It is read when the first guess is asked for."""
        self._draft, self._tokens = draft, list(tokens or [])

    @property
    def price(self) -> float:
        """What a guess takes lately, in seconds, without reading what the draft had not followed."""
        return self._draft.price

    @property
    def odds(self) -> float:
        """How often a guess was right, lately."""
        return self._draft.odds

    @odds.setter
    def odds(self, odds: float) -> None:
        self._draft.odds = odds

    def extend(self, tokens: list[int]) -> None:
        """These tokens came."""
        self._tokens += tokens

    def ready(self, patience: float) -> bool:
        """Whether the draft has read all but the last token, or nearly. It reads a portion of what is missing if all of
        that takes at most `patience` seconds: whoever waits for the answer's next token, or cancels, is not held up."""
        draft, tokens = self._draft, self._tokens
        if not draft.can_follow(tokens):
            return False
        missing = draft.missing(tokens)
        if missing <= LEAST_PORTION:
            return True
        if missing * draft.read_price > patience:
            return False
        portion = int(READ_S / draft.read_price) if draft.read_price else LEAST_PORTION
        portion = min(missing - 1, max(LEAST_PORTION, min(PORTION, portion)))
        begun = time.perf_counter()
        if draft.follow(tokens[: len(tokens) - missing + portion]):
            price = (time.perf_counter() - begun) / portion
            draft.read_price = _lately(draft.read_price, price, 0.5) if draft.warm else 0.0
            draft.warm = True
        return False

    def propose(self, most: int) -> list[int]:
        """At most so many tokens that may come next."""
        draft = self._draft
        if most <= 0 or not draft.follow(self._tokens[:-1]):
            return []
        begun = time.perf_counter()
        guess = draft.propose(most) if draft.follow(self._tokens) else []
        price = (time.perf_counter() - begun) / max(1, len(guess))
        draft.price = _lately(draft.price, price, 0.2) if draft.warm else 0.0
        draft.warm = True
        return guess


def _lately(known: float, now: float, share: float) -> float:
    return known + (now - known) * share if known else now


def difference(target: Path, draft: Path) -> str:
    """What is different in the vocabularies of two GGUF files, "" if one model can guess for the other.

    Only their vocabularies are read, in about a second for the largest. Raises UserError damaged_model.
    """
    with _vocabulary(target) as one, _vocabulary(draft) as other:
        return _difference(one, other)


@contextmanager
def _vocabulary(path: Path) -> Iterator[Any]:
    c = library()
    params = c.llama_model_default_params()
    params.vocab_only = True
    handle = c.llama_model_load_from_file(os.fsencode(path), params)
    if not handle:
        raise damaged(path, lines.last_error() or "it has no vocabulary")
    try:
        yield handle
    finally:
        c.llama_model_free(handle)


def _difference(target: Any, draft: Any) -> str:
    """The same for two llama_model pointers."""
    c = library()
    one, other = c.llama_model_get_vocab(target), c.llama_model_get_vocab(draft)
    if c.llama_vocab_type(one) != c.llama_vocab_type(other):
        return "kind of vocabulary"
    sizes = c.llama_vocab_n_tokens(one), c.llama_vocab_n_tokens(other)
    if abs(sizes[0] - sizes[1]) > SIZES_APART:
        return f"{sizes[0]} / {sizes[1]}"
    if _bos(one) != _bos(other):
        return f"BOS {_bos(one)!r} / {_bos(other)!r}"
    both = min(sizes)
    sample = {*range(0, both, EVERY), *range(min(EDGE, both)), *range(max(0, both - EDGE), both)}
    apart = next((token for token in sorted(sample) if _text(one, token) != _text(other, token)), None)
    return "" if apart is None else f"{_shown(one, apart)} / {_shown(other, apart)}"


def _bos(vocabulary: Any) -> str:
    """The token that a text begins with, "" where there is none."""
    c = library()
    token = int(c.llama_vocab_bos(vocabulary))
    wanted = c.llama_vocab_get_add_bos(vocabulary) and token >= 0
    return _text(vocabulary, token).decode("utf-8", "replace") if wanted else ""


def _text(vocabulary: Any, token: int) -> bytes:
    text: bytes | None = library().llama_vocab_get_text(vocabulary, ctypes.c_int32(token))
    return text or b""


def _shown(vocabulary: Any, token: int) -> str:
    return repr(_text(vocabulary, token).decode("utf-8", "replace"))


def _unfit(draft: Model) -> str:
    """Why a model with the right words still cannot guess: what was wrong must be taken back."""
    if draft.embeds_only:
        return "it cannot write"
    return "" if can_be_cut(draft) else "a recurrent model cannot take guesses back"


def mismatch(target: str, draft: str, detail: str) -> UserError:
    """The two have other words."""
    return UserError(
        "draft_mismatch",
        f"{draft} cannot guess for {target}: their vocabularies differ ({detail}).",
        "Choose a smaller model of the same family as the draft.",
        model=target,
        draft=draft,
        detail=detail,
    )
