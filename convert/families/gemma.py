"""Gemma 1, 2 and 3, and the language model inside Gemma 3 that sees.

Norms are stored as their distance from one. Gemma 1's token that ends a turn is named by number, as upstream does it.
"""

from __future__ import annotations

from convert.config import Config
from convert.defaults import rows, with_usual
from convert.family import Entries, Family, Key, rule
from convert.keys import COMMON, common
from convert.operations import Add, FirstRows
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, OTHER_SENSES, STRAIGHT, TEXT_PREFIXES, VALUES

_FROM_ONE = Add(1.0)
_HEAD_NORM = rule("norm.weight", "output_norm.weight", _FROM_ONE)
_IN = rule("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", _FROM_ONE)
_BLOCK = (*STRAIGHT, *VALUES, *FEED_FORWARD)
_FOUR_NORMS = (
    _IN,
    rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", _FROM_ONE),
    rule("layers.{i}.pre_feedforward_layernorm.weight", "blk.{i}.ffn_norm.weight", _FROM_ONE),
    rule("layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight", _FROM_ONE),
)
_HEAD_NORMS = (
    rule("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", _FROM_ONE),
    rule("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", _FROM_ONE),
)
_KEYS = common(
    "context_length",
    "embedding_length",
    "block_count",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.layer_norm_rms_epsilon",
    "attention.key_length",
    "attention.value_length",
)
_NO_STRETCH = Key("rope.scaling.type"), Key("rope.scaling.factor")
WINDOW = Key("attention.sliding_window", ("sliding_window",))
ATTENTION_CAP = Key("attn_logit_softcapping", ("attn_logit_softcapping",), "f32")
CAP = Key("final_logit_softcapping", ("final_logit_softcapping",), "f32")
_SHARED = {"head_dim": 256, "rms_norm_eps": 1e-6}


def _turn_ends(config: Config, entries: Entries) -> Entries:
    return without_space(config, {**entries, "tokenizer.ggml.eot_token_id": ("u32", 107)})


def without_space(config: Config, entries: Entries) -> Entries:
    """Where the vocabulary is SentencePiece's: no space is put before a text."""
    spm = entries.get("tokenizer.ggml.model", ("str", ""))[1] == "llama"
    return {**entries, "tokenizer.ggml.add_space_prefix": ("bool", False)} if spm else entries


def _window(config: Config) -> int | None:
    """Gemma 3 without windows says that each layer is a full one."""
    return None if config.get("sliding_window_pattern") == 1 else config.get("sliding_window", default=4096)


FAMILIES = (
    Family(
        name="1",
        architectures=("GemmaForCausalLM",),
        arch="gemma",
        rules=(
            EMBEDDING,
            _IN,
            rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight", _FROM_ONE),
            *_BLOCK,
            _HEAD_NORM,
        ),
        keys=(*_KEYS, *_NO_STRETCH),
        vocabulary=("spm", "llama_hf", "bpe"),
        drop=(r"lm_head\.weight",),
        adjust=with_usual(max_position_embeddings=8192, num_key_value_heads=16, **_SHARED),
        entries=_turn_ends,
    ),
    Family(
        name="2",
        architectures=("Gemma2ForCausalLM",),
        arch="gemma2",
        rules=(EMBEDDING, *_FOUR_NORMS, *_BLOCK, _HEAD_NORM),
        keys=(*_KEYS, *_NO_STRETCH, ATTENTION_CAP, CAP, WINDOW),
        vocabulary=("spm", "llama_hf", "bpe"),
        drop=(r"lm_head\.weight",),
        adjust=with_usual(
            max_position_embeddings=8192,
            num_key_value_heads=4,
            sliding_window=4096,
            attn_logit_softcapping=50.0,
            final_logit_softcapping=30.0,
            **_SHARED,
        ),
        entries=without_space,
    ),
    Family(
        name="3",
        architectures=("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
        arch="gemma3",
        rules=(
            rule("embed_tokens.weight", "token_embd.weight", FirstRows("tokens")),
            *_FOUR_NORMS,
            *_HEAD_NORMS,
            *_BLOCK,
            _HEAD_NORM,
            *HEAD[1:],
        ),
        keys=(*COMMON, CAP, Key("attention.sliding_window", value=_window)),
        vocabulary=("spm", "bpe"),
        prefixes=TEXT_PREFIXES,
        drop=OTHER_SENSES,
        adjust=with_usual(
            vocab_size=262208,
            tokens=rows,
            hidden_size=2304,
            intermediate_size=9216,
            num_hidden_layers=26,
            max_position_embeddings=131072,
            num_attention_heads=8,
            num_key_value_heads=4,
            rope_theta=1e6,
            rope_local_base_freq=10000.0,
            **_SHARED,
        ),
        entries=without_space,
    ),
)
