"""MiniCPM 1, 2 and 4: LLaMA with scaled embeddings, residues and logits, and factors for long texts.

Beside llama.cpp's converter: where the context is longer than the trained one, its length and the factor of attention
are written, too; llama.cpp takes the long factors from there on.
"""

from __future__ import annotations

import math

from convert.config import Config
from convert.family import Family, Key
from convert.keys import COMMON
from convert.long_factors import STRETCH, factors
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, NORMS, PERMUTED, VALUES


def residual(config: Config) -> float:
    """What each block's result is multiplied by."""
    return float(config.get("scale_depth", default=1.4)) / math.sqrt(config.size("layers"))


FAMILY = Family(
    architectures=("MiniCPMForCausalLM",),
    arch="minicpm",
    rules=(EMBEDDING, *NORMS, *PERMUTED, *VALUES, *FEED_FORWARD, *HEAD),
    keys=(
        *COMMON,
        Key("embedding_scale", ("scale_emb",), "f32", 1.0),
        Key("residual_scale", kind="f32", value=residual),
        Key(
            "logit_scale",
            kind="f32",
            value=lambda config: config.size("width") / float(config.get("dim_model_base", default=1)),
        ),
        *STRETCH,
    ),
    vocabulary=("spm", "llama_hf", "bpe"),
    extras=(factors("long", "head_dim"), factors("short", "head_dim")),
)
