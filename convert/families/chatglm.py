"""ChatGLM 2 and 3 (6B).

Upstream knows ChatGLM 3 by the path that it was loaded from; here both are known by their vocabulary of 65024 words.
ChatGLM 1 has the same architecture and is refused, GLM-4 has its own record.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, Rule, rule
from convert.keys import partial_rotary

GLM4_WORDS = 100_000  # GLM-4 has 151552, ChatGLM 2 and 3 have 65024

RULES: tuple[Rule, ...] = (
    rule("embedding.word_embeddings.weight", "token_embd.weight"),
    rule("encoder.layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
    rule("encoder.layers.{i}.self_attention.query_key_value.{end}", "blk.{i}.attn_qkv.{end}"),
    rule("encoder.layers.{i}.self_attention.dense.{end}", "blk.{i}.attn_output.{end}"),
    rule("encoder.layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
    rule("encoder.layers.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight"),
    rule("encoder.layers.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight"),
    rule("encoder.final_layernorm.weight", "output_norm.weight"),
    rule("output_layer.weight", "output.weight"),
)
KEYS = (
    Key("context_length", ("seq_length",), value=lambda config: config.size("width")),
    Key("embedding_length", value=lambda config: config.size("width")),
    Key("feed_forward_length", ("ffn_hidden_size",), value=lambda config: 4 * config.size("width")),
    Key("block_count", value=lambda config: config.size("layers")),
    Key("attention.head_count", value=lambda config: config.size("heads")),
    Key("attention.head_count_kv", value=lambda config: config.size("kv_heads")),
    Key("attention.layer_norm_rms_epsilon", ("layernorm_epsilon",), "f32", default=1e-5),
    Key("rope.dimension_count", value=lambda config: partial_rotary(config, 0.5)),
    Key("rope.freq_base", kind="f32", value=lambda config: 10000 * float(config.get("rope_ratio", default=1))),
    Key("tokenizer.ggml.add_bos_token", kind="bool", default=False),
)


def is_fourth(config: Config) -> bool:
    """GLM-4 9B has the same architecture, more words, and several tokens that end a text.

    The first ChatGLM has many words, too, but no ffn_hidden_size.
    """
    words = config.get("padded_vocab_size", "vocab_size", default=0)
    many = isinstance(config.get("eos_token_id"), list) or (isinstance(words, int) and words > GLM4_WORDS)
    return many and config.has("ffn_hidden_size")


def _second_or_third(config: Config) -> bool:
    return config.has("ffn_hidden_size") and not is_fourth(config)


def _keys_counted(config: Config) -> Config:
    """ChatGLM with multi_query_attention off has a key for each head."""
    if config.get("multi_query_attention", default=True):
        return config
    return config.having(multi_query_group_num=config.size("heads"))


FAMILY = Family(
    architectures=("ChatGLMModel", "ChatGLMForConditionalGeneration"),
    arch="chatglm",
    rules=RULES,
    keys=KEYS,
    vocabulary=("spm",),
    prefixes=("transformer.", ""),
    drop=(r".*\.rotary_pos_emb\.inv_freq",),
    accepts=_second_or_third,
    adjust=_keys_counted,
)
