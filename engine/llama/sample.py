"""The chain of samplers that chooses the next token, in llama.cpp's own order."""

from __future__ import annotations

import ctypes
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.api.sampling import Sampling
from engine.generation import Grammar
from engine.llama.constraint import Constraint
from engine.llama.model import Model
from engine.llama.quiet import library

if TYPE_CHECKING:
    import numpy as np

    from engine.llama.ggml_types import Floats

    Integers = np.ndarray[Any, np.dtype[np.integer[Any]]]
    Rows = np.ndarray[Any, np.dtype[np.void]]  # of llama_token_data

# Sequences at which DRY starts anew; llama.cpp's own choice.
DRY_BREAKERS = (b"\n", b":", b'"', b"*")
MIROSTAT_M = 100
# How often another token is drawn where one would begin a lazy grammar wrongly.
TRIES = 16
# How many of the likeliest tokens a grammar is asked about first.
NEAR = 1024
NO_TOKEN = -1


class Sampler:
    """One request's samplers. `close` frees them; a chain owns what was added to it.

    Without a grammar, llama_sampler_sample(chain, context, index) is all that `sample` does, but for the likeliest
    token: llama.cpp copies the whole vocabulary into an array of its own first, which takes five times as long.
    """

    def __init__(self, model: Model, sampling: Sampling, seen: list[int], grammar: Grammar | None = None) -> None:
        """`seen` are the tokens of the prompt, for the samplers that look back. Raises UserError bad_grammar."""
        c = library()
        self._model = model
        self._draw = c.llama_sampler_sample
        self._choice = _Choice(model, Constraint(model, grammar), _needed(model, sampling)) if grammar else None
        self._likeliest = None if grammar or not _is_greedy(sampling) else _Likeliest(model, sampling)
        self.chain: Any = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        for sampler in _samplers(model, sampling):
            c.llama_sampler_chain_add(self.chain, sampler)
        for token in seen[-look_back(model, sampling) :] if look_back(model, sampling) else ():
            c.llama_sampler_accept(self.chain, token)

    def sample(self, context: Any, index: int = -1) -> int:
        """Choose the token after output `index` of the last batch (-1 = its last) and count it as written.

        A token for which `model.is_end` is true ends the answer, so does NO_TOKEN: the grammar allows nothing
        more, and the model has no token that says so.
        """
        if self._likeliest:
            return self._likeliest.sample(context, index)
        if self._choice is None:
            return int(self._draw(self.chain, context, index))
        return self._choice.sample(self.chain, context, index)

    def accept(self, token: int) -> None:
        """Count a token as written that was not chosen here."""
        library().llama_sampler_accept(self.chain, token)
        if self._choice:
            self._choice.constraint.accept(token)

    def close(self) -> None:
        """Free the chain. Calling it twice does no harm."""
        chain, self.chain = self.chain, None
        if chain:
            library().llama_sampler_free(chain)
        if self._choice:
            self._choice.constraint.close()


class _Likeliest:
    """The likeliest token, where no sampler looks back."""

    def __init__(self, model: Model, sampling: Sampling) -> None:
        import numpy as np

        self._logits = model.logits
        biases = self._known = _biases(model, sampling)
        self._only_lower = all(bias <= 0 for bias in biases.values())
        self._tokens = np.array(list(biases), np.int64)
        self._biases = np.array(list(biases.values()), np.float32)

    def sample(self, context: Any, index: int) -> int:
        logits = self._logits.of(context, index)
        token = int(logits.argmax())
        # To lower others leaves the first the first, so most tokens need no copy of the biased logits.
        return token if self._only_lower and token not in self._known else self._biased(logits)

    def _biased(self, logits: Floats) -> int:
        before = logits[self._tokens]
        logits[self._tokens] += self._biases
        token = int(logits.argmax())
        logits[self._tokens] = before  # they are llama.cpp's, and whoever wants probabilities reads them next
        return token


class _Choice:
    """Sampling under a grammar. The chain chooses first, as most often what it chooses is allowed; only if not,
    the grammar goes over the vocabulary: the likeliest tokens first, where `needed` of them (0 = all) decide."""

    def __init__(self, model: Model, constraint: Constraint, needed: int) -> None:
        import numpy as np

        self.constraint, self._model, self._needed = constraint, model, needed
        self._row = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        self._ids = np.arange(model.vocab_size, dtype=np.int32)

    def sample(self, chain: Any, context: Any, index: int) -> int:
        logits = self._model.logits.of(context, index)
        token = self._chosen(chain, self._rows(logits, self._ids))
        if not self.constraint.allows(token):
            token = self._allowed(chain, logits, token)
        if token != NO_TOKEN:
            library().llama_sampler_accept(chain, token)
            self.constraint.accept(token)
        return token

    def _rows(self, logits: Floats, ids: Integers) -> Rows:
        import numpy as np

        rows = np.empty(len(ids), self._row)
        rows["id"], rows["logit"] = ids, logits if ids is self._ids else logits[ids]
        return rows

    def _chosen(self, chain: Any, rows: Rows) -> int:
        """The chain's choice among rows of llama_token_data, whose order it may change."""
        array = self._array(rows)
        library().llama_sampler_apply(chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def _array(self, rows: Rows) -> Any:
        c = library()
        data = ctypes.cast(rows.ctypes.data, ctypes.POINTER(c.llama_token_data))
        return c.llama_token_data_array(data, len(rows), -1, False)

    def _allowed(self, chain: Any, logits: Floats, refused: int) -> int:
        """The chain's choice among what the grammar allows; the end of the answer if that is nothing."""
        rows = self._unrefused(logits, refused)
        lazy = self.constraint.waiting
        tries = 0
        while len(rows) and not (lazy and tries == TRIES):
            token = self._chosen(chain, rows.copy())
            if self.constraint.allows(token):
                return token
            rows = rows[rows["id"] != token]
            tries += 1
        return end_token(self._model)

    def _unrefused(self, logits: Floats, refused: int) -> Rows:
        import numpy as np

        if self._needed and len(logits) > NEAR:
            near = self._filtered(logits, np.argpartition(logits, -NEAR)[-NEAR:], refused)
            if len(near) > self._needed:
                return near
        return self._filtered(logits, self._ids, refused)

    def _filtered(self, logits: Floats, ids: Integers, refused: int) -> Rows:
        rows = self._rows(logits, ids)
        self.constraint.refuse_in(self._array(rows))
        kept: Rows = rows[(rows["logit"] > -math.inf) & (rows["id"] != refused)]
        return kept


def _needed(model: Model, sampling: Sampling) -> int:
    """How many of the likeliest tokens decide what the chain chooses, 0 if that is not certain.

    Penalties that only lower let as many others move up as there are tokens that they look back on.
    """
    if sampling.logit_bias or not _only_lowers(sampling) or sampling.dry_multiplier > 0 or sampling.mirostat:
        return 0
    first = 1 if sampling.temperature == 0 else sampling.top_k
    return first + look_back(model, sampling) if first > 0 else 0


def _only_lowers(sampling: Sampling) -> bool:
    return sampling.repeat_penalty >= 1 and min(sampling.frequency_penalty, sampling.presence_penalty) >= 0


def _is_greedy(sampling: Sampling) -> bool:
    """Whether the likeliest token is all that is wanted."""
    return sampling.temperature == 0 and not _has_penalties(sampling) and sampling.dry_multiplier <= 0


def end_token(model: Model) -> int:
    """A token that ends an answer, NO_TOKEN if the model has none."""
    c = library()
    known = (int(find(model.vocab)) for find in (c.llama_vocab_eos, c.llama_vocab_eot))
    return next((token for token in known if token >= 0 and model.is_end(token)), NO_TOKEN)


def look_back(model: Model, sampling: Sampling) -> int:
    """How many of the last tokens the samplers need to have seen; 0 if none looks back."""
    penalties = _span(model, sampling.repeat_last_n) if _has_penalties(sampling) else 0
    dry = _span(model, sampling.dry_penalty_last_n) if sampling.dry_multiplier > 0 else 0
    return max(penalties, dry)


def _samplers(model: Model, sampling: Sampling) -> list[Any]:
    return [*_bias(model, sampling), *_repetition(model, sampling), *_choice(model, sampling)]


def _biases(model: Model, sampling: Sampling) -> dict[int, float]:
    return {token: bias for token, bias in sampling.logit_bias.items() if 0 <= token < model.vocab_size}


def _bias(model: Model, sampling: Sampling) -> list[Any]:
    c, known = library(), _biases(model, sampling)
    if not known:
        return []
    array = (c.llama_logit_bias * len(known))(*(c.llama_logit_bias(token, bias) for token, bias in known.items()))
    return [c.llama_sampler_init_logit_bias(model.vocab_size, len(known), array)]


def _repetition(model: Model, sampling: Sampling) -> list[Any]:
    c, chain = library(), []
    if _has_penalties(sampling):
        last = _span(model, sampling.repeat_last_n)
        rates = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty)
        needed = _needed(model, replace(sampling, logit_bias={}))  # biases are in the logits already
        if 0 < needed <= NEAR:  # the penalties would look up every token of the vocabulary, one by one
            chain.append(c.llama_sampler_init_top_k(needed))
        chain.append(c.llama_sampler_init_penalties(model.vocab_size, last, *rates))
    if sampling.dry_multiplier > 0:
        chain.append(_dry(model, sampling))
    return chain


def _dry(model: Model, sampling: Sampling) -> Any:
    breakers = (ctypes.c_char_p * len(DRY_BREAKERS))(*DRY_BREAKERS)
    return library().llama_sampler_init_dry(
        model.vocab,
        sampling.dry_multiplier,
        sampling.dry_base,
        sampling.dry_allowed_length,
        _span(model, sampling.dry_penalty_last_n),
        breakers,
        len(DRY_BREAKERS),
    )


def _choice(model: Model, sampling: Sampling) -> list[Any]:
    """The samplers that end in one token: greedy, mirostat, or a draw from what the filters left."""
    c, seed = library(), sampling.seed & 0xFFFFFFFF  # -1 becomes llama.cpp's "draw one"
    if sampling.temperature == 0:
        return [c.llama_sampler_init_greedy()]
    warmth, tau, eta = c.llama_sampler_init_temp(sampling.temperature), sampling.mirostat_tau, sampling.mirostat_eta
    if sampling.mirostat == 1:
        return [warmth, c.llama_sampler_init_mirostat(model.vocab_size, seed, tau, eta, MIROSTAT_M)]
    if sampling.mirostat == 2:
        return [warmth, c.llama_sampler_init_mirostat_v2(seed, tau, eta)]
    return [*_filters(sampling, seed), warmth, c.llama_sampler_init_dist(seed)]


def _filters(sampling: Sampling, seed: int) -> list[Any]:
    c, chain = library(), []
    if sampling.top_k > 0:
        chain.append(c.llama_sampler_init_top_k(sampling.top_k))
    if sampling.top_p < 1:
        chain.append(c.llama_sampler_init_top_p(sampling.top_p, 1))
    if sampling.min_p > 0:
        chain.append(c.llama_sampler_init_min_p(sampling.min_p, 1))
    if sampling.xtc_probability > 0:
        chain.append(c.llama_sampler_init_xtc(sampling.xtc_probability, sampling.xtc_threshold, 1, seed))
    return chain


def _has_penalties(sampling: Sampling) -> bool:
    changed = (sampling.repeat_penalty - 1, sampling.frequency_penalty, sampling.presence_penalty)
    return sampling.repeat_last_n != 0 and any(changed)


def _span(model: Model, last: int) -> int:
    """-1 stands for the whole context."""
    return model.context_size if last < 0 else last
