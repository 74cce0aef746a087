"""GLM-4 9B: as its authors publish it (ChatGLM's network) and in its -hf form.

llama.cpp's converter takes the -hf form for the other one: it writes its context, its rotary base and its epsilon from
keys that this form does not have. Here they come from config.json.
"""

from __future__ import annotations

from convert.families.chatglm import KEYS as CHATGLM_KEYS
from convert.families.chatglm import RULES, is_fourth
from convert.family import Family, Key, rule
from convert.keys import COMMON, partial_rotary
from convert.rules import EMBEDDING, HEAD, NORMS, STRAIGHT, VALUES

FUSED_FEED_FORWARD = (
    rule("layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight"),
    rule("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
)


FAMILIES = (
    Family(
        architectures=("GlmForCausalLM",),
        arch="chatglm",
        rules=(EMBEDDING, *NORMS, *STRAIGHT, *VALUES, *FUSED_FEED_FORWARD, *HEAD),
        keys=(
            *COMMON,
            Key("attention.key_length"),
            Key("attention.value_length"),
            Key("attention.layer_norm_rms_epsilon", ("rms_norm_eps",), "f32", 1.5625e-07),
            Key("rope.freq_base", kind="f32", value=lambda config: config.rope_full.get("rope_theta", 10000.0)),
            Key("rope.dimension_count", value=lambda config: partial_rotary(config, 0.5)),
            Key("tokenizer.ggml.add_bos_token", kind="bool", default=False),
        ),
        name="hf",
    ),
    Family(
        architectures=("ChatGLMModel", "ChatGLMForConditionalGeneration"),
        arch="chatglm",
        rules=RULES,
        keys=CHATGLM_KEYS,
        vocabulary=("bpe", "tiktoken"),
        prefixes=("transformer.", ""),
        drop=(r".*\.rotary_pos_emb\.inv_freq",),
        accepts=is_fourth,
        name="chat",
    ),
)
