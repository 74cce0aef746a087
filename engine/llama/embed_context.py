"""A llama.cpp context that gives vectors instead of words, over weights that are loaded already."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.llama.compute import COMPUTE
from engine.llama.contexts import free_context, new_context
from engine.llama.devices import is_full
from engine.llama.model import Model
from engine.llama.quiet import library, lines
from engine.llama.rows import Rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

SEQUENCES = 64  # texts in one batch
LOGIT_BYTES = 4
ROOM = 0.8  # of the free memory may be taken

Piece = tuple[int, int, list[int]]  # number of the text, position of the first token, tokens


class VectorContext:
    """Not thread-safe. `batch`: tokens read at once; `size`: tokens kept of all texts, which must not be less."""

    def __init__(self, model: Model, pooling: int, size: int, batch: int) -> None:
        c = library()
        self.size, self._model = size, model
        _refuse_too_big(model, batch)
        self._context = _made(model, pooling, size, batch)
        self._memory = c.llama_get_memory(self._context)
        encodes = not self._memory or c.llama_model_has_encoder(model.handle)
        self._run = c.llama_encode if encodes else c.llama_decode
        self._rows = Rows(batch)

    def close(self) -> None:
        """Free the memory. Calling it twice does no harm."""
        context, self._context = self._context, None
        if context:
            free_context(context)

    def forget(self) -> None:
        """Begin with other texts."""
        if self._memory:
            library().llama_memory_clear(self._memory, False)

    def read(self, pieces: Sequence[Piece]) -> None:
        """Run the model over at most a batch of tokens. Raises UserError out_of_memory."""
        at = 0
        for text, start, tokens in pieces:
            at = self._rows.put(at, tokens, start, text, len(tokens))
        with COMPUTE if self._model.needs_cores else nullcontext():
            status = self._rows.run(self._run, self._context, at)
            library().llama_synchronize(self._context)
        if status:
            raise no_room(lines.last_error() or f"status {status}")

    def states(self, count: int, width: int) -> Array:
        """The last state of each token read last: (count, width), valid until the next `read`."""
        return self._array(library().llama_get_embeddings(self._context), (count, width))

    def pooled(self, text: int, width: int) -> Array:
        """The vector of one text, or what the ranking head says of it: (width,)."""
        return self._array(library().llama_get_embeddings_seq(self._context, text), (width,)).copy()

    def _array(self, pointer: Any, shape: tuple[int, ...]) -> Array:
        import numpy as np

        if not pointer:
            raise no_room("it gave no vectors")
        return np.ctypeslib.as_array(pointer, shape)


def texts_together(model: Model) -> int:
    """How many texts a batch may hold. A recurrent memory takes its room for each of them from the start."""
    c = library()
    recurrent = c.llama_model_is_recurrent(model.handle) or c.llama_model_is_hybrid(model.handle)
    return 1 if recurrent else SEQUENCES


def _made(model: Model, pooling: int, size: int, batch: int) -> Any:
    params = library().llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = size, batch, batch
    params.n_seq_max, params.kv_unified = texts_together(model), True
    params.n_threads = params.n_threads_batch = model.threads
    params.embeddings, params.pooling_type = True, pooling
    context = new_context(model.handle, params)
    if context and is_full(model.cards):
        free_context(context)
        raise no_room("the memory of the graphics card is used up")
    if not context:
        raise no_room(lines.last_error() or "no context for vectors")
    return context


def _refuse_too_big(model: Model, batch: int) -> None:
    """Models that write compute the logits of every token of a batch, asked or not, and memory is only promised:
    the system would end the whole engine for it."""
    if model.embeds_only:
        return
    import psutil

    need, free = batch * model.vocab_size * LOGIT_BYTES, psutil.virtual_memory().available
    if need > ROOM * free:
        raise no_room(f"it needs {need / 1e9:.1f} GB to read {batch} tokens at once, and {free / 1e9:.1f} GB are free")


def no_room(detail: str) -> UserError:
    """llama.cpp could not go on."""
    return UserError("out_of_memory", f"llama.cpp could not go on: {detail}.", "Give it shorter texts.", detail=detail)
