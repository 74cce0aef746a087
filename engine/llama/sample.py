"""The chain of samplers that chooses the next token, in llama.cpp's own order."""

from __future__ import annotations

import ctypes
from typing import Any

from engine.api.sampling import Sampling
from engine.llama.model import Model
from engine.llama.quiet import library

# Sequences at which DRY starts anew; llama.cpp's own choice.
DRY_BREAKERS = (b"\n", b":", b'"', b"*")
MIROSTAT_M = 100


class Sampler:
    """One request's samplers. `close` frees them; a chain owns what was added to it."""

    def __init__(self, model: Model, sampling: Sampling, seen: list[int]) -> None:
        """`seen` are the tokens of the prompt, for the samplers that look back."""
        c = library()
        self.chain: Any = c.llama_sampler_chain_init(c.llama_sampler_chain_default_params())
        for sampler in _samplers(model, sampling):
            c.llama_sampler_chain_add(self.chain, sampler)
        for token in seen[-look_back(model, sampling) :] if look_back(model, sampling) else ():
            c.llama_sampler_accept(self.chain, token)

    def close(self) -> None:
        """Free the chain. Calling it twice does no harm."""
        chain, self.chain = self.chain, None
        if chain:
            library().llama_sampler_free(chain)


def look_back(model: Model, sampling: Sampling) -> int:
    """How many of the last tokens the samplers need to have seen; 0 if none looks back."""
    penalties = _span(model, sampling.repeat_last_n) if _has_penalties(sampling) else 0
    dry = _span(model, sampling.dry_penalty_last_n) if sampling.dry_multiplier > 0 else 0
    return max(penalties, dry)


def _samplers(model: Model, sampling: Sampling) -> list[Any]:
    return [*_bias(model, sampling), *_repetition(model, sampling), *_choice(model, sampling)]


def _bias(model: Model, sampling: Sampling) -> list[Any]:
    c = library()
    known = {token: bias for token, bias in sampling.logit_bias.items() if 0 <= token < model.vocab_size}
    if not known:
        return []
    array = (c.llama_logit_bias * len(known))(*(c.llama_logit_bias(token, bias) for token, bias in known.items()))
    return [c.llama_sampler_init_logit_bias(model.vocab_size, len(known), array)]


def _repetition(model: Model, sampling: Sampling) -> list[Any]:
    c, chain = library(), []
    if _has_penalties(sampling):
        last = _span(model, sampling.repeat_last_n)
        rates = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty)
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
