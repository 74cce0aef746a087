"""Command R, Command R+, Aya and Command R7B. Attention and feed-forward read the same norm; heads lie in pairs.

Command R was trained on a longer text than max_position_embeddings says: model_max_length is the true one.
"""

from __future__ import annotations

from convert.config import Config
from convert.defaults import heads, number, with_usual
from convert.family import Family, Key, rule
from convert.keys import COMMON, VOCABULARY_SIZE
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, HEAD_NORMS, STRAIGHT, VALUES

_RULES = (
    EMBEDDING,
    rule("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
    *STRAIGHT,
    *VALUES,
    *FEED_FORWARD,
    HEAD[0],
)
_SCALE = Key("logit_scale", ("logit_scale",), "f32", default=0.0625)
_NO_STRETCH = Key("rope.scaling.type", kind="str", default="none")


def _turned(config: Config) -> int:
    return int(
        number(config.get("rotary_pct", default=1.0), "rotary_pct") * (config.size("width") // config.size("heads"))
    )


def _completed(config: Config) -> Config:
    return with_usual(rope_theta=10000.0, layer_norm_eps=1e-5, max_position_embeddings=8192, num_key_value_heads=heads)(
        config
    )


FAMILIES = (
    Family(
        name="1",
        architectures=("CohereForCausalLM",),
        arch="command-r",
        rules=(*_RULES, *HEAD_NORMS),
        keys=(
            *COMMON,
            Key("context_length", ("model_max_length", "max_position_embeddings")),
            _SCALE,
            _NO_STRETCH,
        ),
        drop=(r"lm_head\.weight",),
        adjust=_completed,
    ),
    Family(
        name="2",
        architectures=("Cohere2ForCausalLM",),
        arch="cohere2",
        rules=_RULES,
        keys=(
            *COMMON,
            _SCALE,
            VOCABULARY_SIZE,
            Key("attention.sliding_window", ("sliding_window",), default=4096),
            Key("rope.dimension_count", value=_turned),
            _NO_STRETCH,
        ),
        drop=(r"lm_head\.weight",),
        adjust=lambda config: _completed(config).having(head_dim=config.size("width") // config.size("heads")),
    ),
)
