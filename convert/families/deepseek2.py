"""DeepSeek V2, V2.5, V3, R1 and what has their network: Kimi K2, Moonlight, Kimi-VL's language model.

Keys and values are kept compressed and decompressed by one matrix; llama.cpp multiplies it into queries and outputs,
which takes it in two parts, the keys' part turned round. To it all heads share one compressed head.
Two mends over llama.cpp's converter: a config without `scoring_func` (as transformers saves it) gets the function of
its architecture, and a model that does not compress its queries says so (llama.cpp guesses it by the layers' count).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from convert.config import Config
from convert.family import Family, Key, rule
from convert.keys import COMMON, RMS_EPSILON, VOCABULARY_SIZE, gating
from convert.operations import Array, Laid, Sizes, grouped, laid
from convert.rules import EMBEDDING, EXPERTS, FEED_FORWARD, FUSED_EXPERTS, HEAD, NORMS, ROUTER, SHARED_EXPERTS

_LITE = (26, 27)  # layers of models that llama.cpp knows to have uncompressed queries


@dataclass(frozen=True)
class Decompression:
    """Rows of heads, [keys, values] again and again -> keys (heads, rank, width), values (heads, width, rank)."""

    heads: str = "heads"
    keys: str = "qk_nope_head_dim"
    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        heads, keys = grouped(arrays[0], sizes.size(self.heads)), sizes.size(self.keys)
        return [laid(heads[:, :keys].swapaxes(1, 2)), laid(heads[:, keys:])]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        import numpy as np

        keys, values = arrays
        heads = np.concatenate([keys.swapaxes(1, 2), values], axis=1)
        return [laid(heads, (heads.shape[0] * heads.shape[1], heads.shape[2]))]


ATTENTION = (
    rule("layers.{i}.self_attn.q_proj.{end}", "blk.{i}.attn_q.{end}"),
    rule("layers.{i}.self_attn.q_a_proj.{end}", "blk.{i}.attn_q_a.{end}"),
    rule("layers.{i}.self_attn.q_a_layernorm.weight", "blk.{i}.attn_q_a_norm.weight"),
    rule("layers.{i}.self_attn.q_b_proj.weight", "blk.{i}.attn_q_b.weight"),
    rule("layers.{i}.self_attn.kv_a_proj_with_mqa.{end}", "blk.{i}.attn_kv_a_mqa.{end}"),
    rule("layers.{i}.self_attn.kv_a_layernorm.weight", "blk.{i}.attn_kv_a_norm.weight"),
    rule(
        "layers.{i}.self_attn.kv_b_proj.weight",
        ("blk.{i}.attn_k_b.weight", "blk.{i}.attn_v_b.weight"),
        Decompression(),
    ),
    rule("layers.{i}.self_attn.o_proj.{end}", "blk.{i}.attn_output.{end}"),
)
MIXTURE = (
    ROUTER,
    rule("layers.{i}.mlp.gate.e_score_correction_bias", "blk.{i}.exp_probs_b.bias"),
    *EXPERTS,
    *FUSED_EXPERTS,
    *SHARED_EXPERTS,
)


def scores(config: Config) -> int:
    """V2 takes a softmax over the experts, V3 a sigmoid of each."""
    return gating(config) or (1 if config.architecture.startswith("DeepseekV2") else 2)


def rank(config: Config) -> int:
    """Of the compressed keys and values."""
    return config.size("kv_lora_rank") if config.has("kv_lora_rank") else 512


def dense(config: Config) -> int:
    """How many layers at the beginning have no experts."""
    usual = 0 if config.has("n_routed_experts") else config.size("layers")
    return int(config.get("first_k_dense_replace", default=usual))


def scale_of_scores(config: Config) -> float | None:
    """What llama.cpp makes attention's scale of, ten times too small for old files' sake."""
    everywhere = config.rope.get("mscale_all_dim")
    return None if everywhere is None else 0.1 * float(everywhere)


def without_more_layers(config: Config, name: str) -> str:
    """Layers behind the last one predict further tokens; llama.cpp does not run them for this architecture."""
    found = re.match(r"(?:language_model\.)?model\.layers\.(\d+)\.", name)
    return "" if found and int(found[1]) >= config.size("layers") else name.removeprefix("language_model.")


KEYS = (
    *COMMON,
    VOCABULARY_SIZE,
    Key("attention.head_count_kv", default=1),
    Key("attention.layer_norm_rms_epsilon", RMS_EPSILON, "f32", 1e-6),
    Key("leading_dense_block_count", value=dense),
    Key(
        "attention.q_lora_rank",
        ("q_lora_rank",),
        value=lambda config: None if config.size("layers") in _LITE else 0,
    ),
    Key("attention.kv_lora_rank", value=rank),
    Key("attention.key_length", value=lambda config: rank(config) + config.size("qk_rope_head_dim")),
    Key("attention.value_length", value=rank),
    Key(
        "attention.key_length_mla",
        value=lambda config: config.size("qk_nope_head_dim") + config.size("qk_rope_head_dim"),
    ),
    Key("attention.value_length_mla", ("v_head_dim",)),
    Key("expert_feed_forward_length", ("moe_intermediate_size", "intermediate_size")),
    Key("expert_shared_count", ("n_shared_experts",), default=0),
    Key("expert_weights_scale", ("routed_scaling_factor",), "f32"),
    Key("expert_weights_norm", kind="bool", value=lambda config: True if config.get("norm_topk_prob") else None),
    Key("expert_gating_func", value=scores),
    Key("rope.dimension_count", ("qk_rope_head_dim",)),
    Key("rope.scaling.yarn_log_multiplier", kind="f32", value=scale_of_scores),
)

FAMILY = Family(
    architectures=(
        "DeepseekV3ForCausalLM",
        "DeepseekV2ForCausalLM",
        "KimiVLForConditionalGeneration",
        "KimiK25ForConditionalGeneration",
    ),
    arch="deepseek2",
    rules=(EMBEDDING, *NORMS, *ATTENTION, *FEED_FORWARD, *MIXTURE, *HEAD),
    keys=KEYS,
    vocabulary=("bpe", "tiktoken"),
    drop=(r"(vision_tower|mm_projector|multi_modal_projector|vision_model)\..*",),
    place=without_more_layers,
)
