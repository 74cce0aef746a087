"""Vectors of texts, and how well documents answer a question.

The work is written as generators that call llama.cpp once, then yield: the thread of a model does other requests'
work in between. What they return is the result.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.api.errors import UserError
from engine.llama.embed_context import Piece, VectorContext, texts_together
from engine.llama.endless import endless
from engine.llama.frame import pair_tokens, text_tokens
from engine.llama.model import Model
from engine.llama.quiet import library
from models.damage import damaged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

UNPOOLED, MEAN, CLS, LAST, RANK = range(5)  # llama.cpp's numbers
POOLINGS = {"mean": MEAN, "cls": CLS, "last": LAST}
# Tokens read at once. On a processor more is slower, for every token looks at all of the batch (MiniLM: 256 tokens
# 2,700 a second, 2,048 tokens 1,500), and others wait longer for their turn.
AT_ONCE, ON_GPU = 256, 2048
SMALLEST = 2048  # tokens that a context has room for at least
HEADS = ("cls.weight", "cls.output.weight")


class Embedder:
    """Embeds and ranks by the weights of `model`, in contexts of its own. Belongs to the model's thread, but for
    `tokens`, `pair` and `check_head`.

    Encoders see a whole text at once: it fills one batch at most, and llama.cpp pools it. Models that write read a
    text in pieces, and it is pooled here: one batch of a long text would take gigabytes, for logits nobody wants.
    """

    def __init__(self, model: Model, path: Path) -> None:
        self.model, self._path = model, path
        self._contexts: dict[int, VectorContext] = {}
        self._taken = False
        self._ranks: bool | None = None
        self._together = texts_together(model)
        self._width = int(library().llama_model_n_embd_out(model.handle))
        self.limit = min(model.context_size, model.train_context)

    @property
    def pooling(self) -> str:
        """The pooling the model was made for: mean, cls or last; mean where its file does not say."""
        own = _fact(self.model, "pooling_type")
        return next((name for name, number in POOLINGS.items() if str(number) == own), "mean")

    def tokens(self, text: str) -> list[int]:
        """A text as `embed` wants it, framed as the model was trained."""
        return text_tokens(self.model, text)

    def refuse_endless(self, texts: Sequence[str]) -> None:
        """Raises UserError context_too_long for a text so long that cutting it into tokens would only take time."""
        for number, text in enumerate(texts, 1):
            about = endless(self.model, text, self.limit)
            if about:
                raise _too_long(number, about - self.limit, self.limit)

    def pair(self, query: str, document: str) -> list[int]:
        """A question and a document as `rerank` wants them."""
        return pair_tokens(self.model, query, document)

    def embed(
        self, inputs: Sequence[list[int]], pooling: str = "", normalize: bool = True
    ) -> Generator[None, None, list[list[float]]]:
        """A vector for each text, in their order. `pooling` "" is the model's own; `normalize` makes the length 1.

        Raises UserError: bad_pooling, empty_text, bad_tokens, context_too_long, out_of_memory, damaged_model.
        """
        chosen = _number_of(pooling or self.pooling)
        self._check(inputs)
        vectors: list[list[float]] = [[] for _ in inputs]
        for group in groups([len(tokens) for tokens in inputs], self._budget, self._together):
            texts = [inputs[at] for at in group]
            found = self._read_whole(texts, chosen) if self._whole else (yield from self._read_alone(texts, chosen))
            for at, vector in zip(group, found, strict=True):
                vectors[at] = self._numbers(vector, normalize)
            yield
        return vectors

    def rerank(self, pairs: Sequence[list[int]], raw: bool = False) -> Generator[None, None, list[float]]:
        """How well each pair's document answers its question, 0 to 1; with `raw` the number that the head gave.

        Raises UserError: no_rerank, empty_text, bad_tokens, context_too_long, out_of_memory, damaged_model.
        """
        self.check_head()
        self._check(pairs)
        scores = [0.0] * len(pairs)
        for group in groups([len(tokens) for tokens in pairs], self._budget, self._together):
            found = self._read_whole([pairs[at] for at in group], RANK)
            for at, outputs in zip(group, found, strict=True):
                scores[at] = score(self._numbers(outputs, False), raw)
            yield
        return scores

    def close(self) -> None:
        """Free the memory of the contexts; they are made anew when they are needed."""
        contexts, self._contexts = self._contexts, {}
        for context in contexts.values():
            context.close()

    @property
    def _budget(self) -> int:
        """Tokens read at once. Models that write would need too much memory for many, on a GPU too."""
        return ON_GPU if self.model.gpu_layers and self.model.embeds_only else AT_ONCE

    @property
    def _whole(self) -> bool:
        """Whether a token sees those after it, so that a text must be read at once."""
        encodes = self.model.embeds_only or library().llama_model_has_encoder(self.model.handle)
        return bool(encodes) or _fact(self.model, "attention.causal") == "false"

    def _read_whole(self, texts: list[list[int]], pooling: int) -> list[Array]:
        """One batch, pooled by llama.cpp."""
        count = sum(map(len, texts))
        context = self._context(pooling, count, max(self._budget, _rounded(count)))
        context.forget()
        context.read([(number, 0, tokens) for number, tokens in enumerate(texts)])
        width = self._outputs if pooling == RANK else self._width
        return [context.pooled(number, width) for number in range(len(texts))]

    def _read_alone(self, texts: list[list[int]], pooling: int) -> Generator[None, None, list[Array]]:
        """Wait until nobody else is in the middle of a text, then read in pieces."""
        while self._taken:
            yield
        self._taken = True
        try:
            return (yield from self._read_in_pieces(texts, pooling))
        finally:
            self._taken = False

    def _read_in_pieces(self, texts: list[list[int]], pooling: int) -> Generator[None, None, list[Array]]:
        import numpy as np

        context = self._context(UNPOOLED, max(SMALLEST, sum(map(len, texts))), self._budget)
        context.forget()
        vectors = [np.zeros(self._width, np.float32) for _ in texts]
        for number, batch in enumerate(batches(texts, self._budget)):
            if number:
                yield
            context.read(batch)
            states, at = context.states(sum(len(tokens) for _, _, tokens in batch), self._width), 0
            for text, start, tokens in batch:
                vectors[text] += share(states[at : at + len(tokens)], start, len(texts[text]), pooling)
                at += len(tokens)
        return vectors

    def _context(self, pooling: int, size: int, batch: int) -> VectorContext:
        """The context for that pooling; a larger one in place of it where the texts ask for it."""
        present = self._contexts.get(pooling)
        if present is None or present.size < size:
            if present:
                del self._contexts[pooling]
                present.close()
            room = max(batch, _rounded(size))
            self._contexts[pooling] = VectorContext(self.model, pooling, room, batch)
        return self._contexts[pooling]

    @property
    def _outputs(self) -> int:
        """How many numbers the ranking head gives; files with one of them may say 0."""
        return max(1, int(library().llama_model_n_cls_out(self.model.handle)))

    def _numbers(self, vector: Array, normalize: bool) -> list[float]:
        import numpy as np

        if not np.isfinite(vector).all():
            raise damaged(self._path, "its vectors are not numbers")
        length = float(np.linalg.norm(vector))
        found: list[float] = (vector / length if normalize and length > 0 else vector).tolist()
        return found

    def _check(self, inputs: Sequence[list[int]]) -> None:
        for number, tokens in enumerate(inputs, 1):
            if not tokens:
                raise UserError("empty_text", f"Text {number} is empty.", "Leave it out.", number=number)
            if not all(type(token) is int and 0 <= token < self.model.vocab_size for token in tokens):
                raise _bad_tokens(number, self.model.vocab_size)
            if len(tokens) > self.limit:
                raise _too_long(number, len(tokens) - self.limit, self.limit)

    def check_head(self) -> None:
        """Raises UserError no_rerank if the model cannot rank. For any thread."""
        if self._ranks is None:
            self._ranks = has_head(self._path)
        if not self._ranks:
            raise UserError(
                "no_rerank",
                f"{self._path.name} cannot rank documents: it has no ranking head.",
                "Get a reranker, for example bge-reranker-v2-m3 or Qwen3-Reranker.",
                name=self._path.name,
            )


def has_head(path: Path) -> bool:
    """Whether a model file has a ranking head. Raises UserError as models.gguf_reader does."""
    from models.gguf_header import parts
    from models.gguf_reader import read_raw

    return any(tensor.name in HEADS for part in parts(path) for tensor in read_raw(part).inventory)


def groups(lengths: Sequence[int], budget: int, most: int) -> Iterator[list[int]]:
    """The places of texts to be read together, short ones first: at most `most` of `budget` tokens, or one text."""
    group: list[int] = []
    total = 0
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and (total + lengths[at] > budget or len(group) == most):
            yield group
            group, total = [], 0
        group.append(at)
        total += lengths[at]
    if group:
        yield group


def batches(texts: list[list[int]], budget: int) -> Iterator[list[Piece]]:
    """A group of texts in one batch if they fit, or the one text batch after batch."""
    if sum(map(len, texts)) <= budget:
        yield [(number, 0, tokens) for number, tokens in enumerate(texts)]
        return
    for number, tokens in enumerate(texts):
        for at in range(0, len(tokens), budget):
            yield [(number, at, tokens[at : at + budget])]


def share(states: Array, start: int, whole: int, pooling: int) -> Array:
    """What the states of a text's tokens from `start` on add to its vector, of `whole` tokens: (width,)."""
    import numpy as np

    if pooling == MEAN:
        return np.asarray(states.sum(0) / whole, np.float32)
    if pooling == CLS:
        return states[0] if start == 0 else np.zeros_like(states[0])
    return states[-1] if start + len(states) == whole else np.zeros_like(states[-1])


def score(outputs: list[float], raw: bool) -> float:
    """The first of the head's numbers. Of several that are shares of 1 it is a probability already."""
    shares = len(outputs) > 1 and min(outputs) >= 0 and math.isclose(sum(outputs), 1, abs_tol=1e-3)
    return outputs[0] if raw or shares else 1 / (1 + math.exp(-max(-700.0, outputs[0])))


def _number_of(pooling: str) -> int:
    if pooling not in POOLINGS:
        raise UserError(
            "bad_pooling",
            f"There is no pooling {pooling!r}.",
            "Choose mean, cls or last.",
            pooling=pooling,
            known=", ".join(POOLINGS),
        )
    return POOLINGS[pooling]


def _rounded(count: int) -> int:
    """The next power of two, so that a context is not made anew for every longer text."""
    return 1 << (count - 1).bit_length()


def _fact(model: Model, key: str) -> str:
    """What the model file says under the key of its architecture, "" if nothing."""
    return _value(model, f"{_value(model, 'general.architecture')}.{key}")


def _value(model: Model, key: str) -> str:
    buffer = ctypes.create_string_buffer(256)
    size = library().llama_model_meta_val_str(model.handle, key.encode(), buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace") if size >= 0 else ""


def _bad_tokens(number: int, size: int) -> UserError:
    return UserError(
        "bad_tokens",
        f"Text {number} has numbers that are no tokens of this model.",
        f"Tokens are whole numbers from 0 to {size - 1}.",
        number=number,
        most=size - 1,
    )


def _too_long(number: int, over: int, limit: int) -> UserError:
    return UserError(
        "context_too_long",
        f"Text {number} is {over} tokens longer than the {limit} tokens that this model reads at once.",
        "Shorten it, or split it.",
        number=number,
        over=over,
        context=limit,
    )
