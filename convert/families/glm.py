"""GLM-4 9B: as its authors publish it (ChatGLM's network) and in its -hf form.

llama.cpp's converter takes the -hf form for the other one: it writes its context, its rotary base and its epsilon from
keys that this form does not have. Here they come from config.json.
"""

from __future__ import annotations

from convert.config import Config
from convert.families.chatglm import GLM4_WORDS, RULES
from convert.families.chatglm import KEYS as CHATGLM_KEYS
from convert.family import Entries, Family, Key, rule
from convert.keys import COMMON, partial_rotary
from convert.named_tokens import named
from convert.rules import EMBEDDING, HEAD, NORMS, STRAIGHT, VALUES

FUSED_FEED_FORWARD = (
    rule("layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight"),
    rule("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
)


def _fourth(config: Config) -> bool:
    """By its many words; the first ChatGLM, which cannot run, has many, too, but no ffn_hidden_size."""
    words = config.get("padded_vocab_size", "vocab_size", default=0)
    return config.has("ffn_hidden_size") and isinstance(words, int) and words > GLM4_WORDS


def _tokens(config: Config, entries: Entries) -> Entries:
    return named(entries, eos="<|endoftext|>", eot="<|user|>", unk="<|endoftext|>")


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
        entries=_tokens,
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
        accepts=_fourth,
        entries=_tokens,
        name="chat",
    ),
)
