"""One request on its way: its prompt, its sampler, its text, and why it ended."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

from engine.api.errors import UserError
from engine.api.messages import Stats, StopReason
from engine.generation import Generation, Listener
from engine.llama.endless import too_long
from engine.llama.logprobs import logprob
from engine.llama.model import Model
from engine.llama.sample import Sampler
from engine.llama.slot import AdapterKey, Slot
from engine.llama.speculate import Ahead
from engine.llama.stream import TextStream
from engine.llama.think_limit import ThinkLimit


class Writing:
    """A request with a slot: first its prompt is read, then it writes. Belongs to the model's thread.

    `prompt` is what the slot must hold before the next token can be chosen. `ahead` are the tokens of the next
    step: the last one chosen, and guesses at what follows it.
    """

    def __init__(
        self, model: Model, request: Generation, listener: Listener, cancelled: threading.Event, prompt: list[int]
    ) -> None:
        self.model, self.request, self.listener, self.cancelled = model, request, listener, cancelled
        self.prompt = prompt
        self.adapters: AdapterKey = ()
        # The text must repeat to the last bit, so that the number of threads stays what it is.
        self.steady = request.sampling.seed >= 0
        self.future: Future[Stats] = Future()
        self.asked = time.monotonic()
        self.slot: Slot | None = None
        self.ahead: list[int] = []
        self.stats = Stats(prompt_tokens=len(prompt), context_size=model.context_size)
        self.tokens = 0
        self.first_at = self.last_at = 0.0
        self.guesses: Ahead | None = None
        self.chosen: list[int] = []  # in the last step
        self._guessed = self._right = 0
        self.media: Any = None  # what the negative numbers of the prompt stand for
        self._started = self._began_at = 0.0
        self._stream = TextStream(request.sampling.stop)
        self._sampler: Sampler | None = None
        self._limit = request.sampling.max_tokens or model.context_size
        self._think = ThinkLimit(model, request.thinking) if request.thinking else None

    @property
    def reading(self) -> bool:
        """Whether the prompt is not in the cache yet."""
        return not self.ahead

    @property
    def held(self) -> int:
        """Tokens that are in the cache."""
        return len(self.slot.held) if self.slot else 0

    @property
    def left(self) -> int:
        """Tokens of the prompt still to be read."""
        return len(self.prompt) - self.held

    def start(self, slot: Slot) -> None:
        """Take a slot that holds the beginning of the prompt."""
        self.slot = slot
        if not self._started:
            self._started, self.stats["reused_tokens"] = time.monotonic(), len(slot.held)
            self.stats["queue_s"] = self._started - self.asked
        self._began_at = time.monotonic()
        self._from = len(slot.held)

    def read(self, count: int) -> None:
        """`count` more tokens of the prompt are in the cache."""
        slot = self._slot()
        slot.held.extend(self.prompt[len(slot.held) : len(slot.held) + count])
        done, total = len(slot.held), len(self.prompt)
        spent = time.monotonic() - self._began_at
        self.listener.prefill(done, total, spent / max(1, done - self._from) * (total - done))

    def first(self, index: int) -> StopReason | None:
        """Choose the first token after the prompt, from the logits at `index` of the batch."""
        self.chosen = []
        self.stats.setdefault("prefill_s", time.monotonic() - self._started)
        if self.request.read_only:
            return "length"
        if self._sampler is None:
            self._sampler = Sampler(self.model, self.request.sampling, self.prompt, self.request.grammar)
        return self._choose(index)

    def next(self, index: int) -> StopReason | None:
        """The tokens `ahead` were decoded, with logits from `index` on: choose what follows."""
        ahead, slot = self.ahead, self._slot()
        self.chosen = []
        slot.held.append(ahead[0])
        stop = self._choose(index)
        if len(ahead) == 1:
            return stop
        right = 0
        while not stop and right < len(ahead) - 1 and self.ahead[0] == ahead[right + 1]:
            right += 1
            slot.held.append(ahead[right])
            stop = self._choose(index + right)
        slot.cut(len(slot.held))
        self._guessed += len(ahead) - 1
        self._right += right
        return stop

    def guess(self, most: int, beside: int) -> None:
        """Put guesses behind the token chosen last; `beside` tokens of others are in the same step."""
        if self.guesses and len(self.ahead) == 1:
            room = min(most, self._limit - self.tokens - 1, self.model.context_size - len(self._slot().held) - 1)
            self.ahead += self.guesses.propose(room, beside)

    def took(self, seconds: float | None, beside: int) -> None:
        """The step that gave the tokens `chosen` lasted so long; None if it cannot be compared with others."""
        if self.guesses is None:
            return
        if seconds is None:
            self.guesses.came(self.chosen)
        else:
            self.guesses.took(self.chosen, seconds, beside)

    def back(self) -> None:
        """A step failed: the cache holds again what it held before."""
        if self.slot:
            self.slot.cut(len(self.slot.held))
            del self.ahead[1:]

    def medium_next(self) -> bool:
        """Whether an image or a sound comes next in the prompt."""
        at = len(self._slot().held)
        return at < len(self.prompt) and self.prompt[at] < 0

    def until_medium(self, start: int, end: int) -> list[int]:
        """The tokens of the prompt from `start` to `end`, or to the next image or sound."""
        tokens = self.prompt[start:end]
        if not self.media:
            return tokens
        return tokens[: next((at for at, token in enumerate(tokens) if token < 0), len(tokens))]

    def read_medium(self) -> None:
        """Have the image or sound that comes next read into the cache."""
        slot = self._slot()
        self.read(self.media.read(self.prompt, slot))

    def push_out(self) -> None:
        """Give the slot up for now; what was written is read again later, as part of the prompt."""
        slot = self._slot()
        if self.ahead:
            self.prompt = [*slot.held, self.ahead[0]]
        slot.clear()
        self.slot, self.ahead = None, []

    def finish(self, stop: StopReason) -> None:
        """Give out what was held back, and the figures."""
        self._close()
        rest = self._stream.rest()
        if rest:
            self.listener.text(rest)
        decode_s, stats = self.last_at - self.first_at, self.stats
        stats["tokens"], stats["decode_s"], stats["stop"] = self.tokens, decode_s, stop
        stats["first_token_s"] = (self.first_at or time.monotonic()) - self.asked
        stats["tokens_per_s"] = (self.tokens - 1) / decode_s if decode_s > 0 else 0.0
        stats["context_used"] = self.held
        if self._stream.stopped:
            stats["stop_string"] = self._stream.stopped
        stats.setdefault("reused_tokens", 0)
        stats.setdefault("prefill_s", 0.0)
        if self._guessed:
            stats["guessed_tokens"], stats["guessed_right"] = self._guessed, self._right
        self.future.set_result(stats)

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self._close()
        self.future.set_exception(error)

    def _close(self) -> None:
        if self._sampler:
            self._sampler.close()

    def _choose(self, index: int) -> StopReason | None:
        """The token after the logits at `index` becomes the one `ahead`, and its text is given out."""
        forced = self._think.forced() if self._think else None
        if forced is None:
            token = self._sampler.sample(self.model.context, index)  # type: ignore[union-attr]
        else:
            token = forced
            self._sampler.accept(token)  # type: ignore[union-attr]
        self.ahead = [token]
        self.chosen.append(token)
        if token < 0 or self.model.is_end(token):
            return "end"
        if self.request.logprobs >= 0:
            told = logprob(self.model, self.model.context, index, token, self.request.logprobs)
            self.listener.logprob(told)  # type: ignore[attr-defined]
        return self._write(token)

    def _write(self, token: int) -> StopReason | None:
        self.last_at = time.monotonic()
        self.first_at = self.first_at or self.last_at
        self.tokens += 1
        text = self._stream.feed(self.model.piece(token))
        if text:
            self.listener.text(text)
            if self._think:
                self._think.wrote(text)
        if self._stream.stopped:
            return "stop_string"
        if self.cancelled.is_set():
            return "cancelled"
        if self.tokens >= self._limit:
            return "length"
        return "context" if len(self._slot().held) >= self.model.context_size else None

    def _slot(self) -> Slot:
        if self.slot is None:
            raise RuntimeError("a request without a slot cannot go on")
        return self.slot


def prompt_tokens(model: Model, prompt: str) -> list[int]:
    """The prompt's tokens, with BOS if the model wants it and the text lacks it. For any thread."""
    wanted = model.adds_bos and not prompt.startswith(model.bos)
    return model.tokenize(prompt, special=True, add_bos=wanted)


def check_length(model: Model, tokens: list[int]) -> None:
    """Raises UserError for a prompt that is empty, or leaves no room for one token."""
    over = len(tokens) - model.context_size + 1
    if not tokens:
        raise UserError("empty_prompt", "There is nothing to answer.", "Write something first.")
    if over > 0:
        raise too_long(over, model.context_size)
