"""T5, Flan-T5, T5 1.1, mT5, UMT5: both halves, or the encoder alone (for embeddings).

The word table is kept under one of three names, or under several; one is enough. Where the head is tied to it (T5
itself), the published code divides the last states by the root of the width. llama.cpp does not, so that upstream's
files give logits that are twenty times too large; here the last norm carries the factor.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, Rule, rule
from convert.keys import common
from convert.operations import SAME, Operation
from convert.operations_apart import RootScale
from convert.taken_for_granted import only

TABLES = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


ACTIVATION = only(feed_forward_proj=("relu", "gated-gelu"), relative_attention_max_distance=128)


def _one_table(config: Config, name: str) -> str:
    """The first table that is there, under its usual name; the others are copies."""
    if name not in TABLES:
        return name
    first = next((table for table in TABLES if table in config.names), name)
    return TABLES[0] if name == first else ""


def _attention(block: str, layer: str, target: str) -> tuple[Rule, ...]:
    names = [(part, f"{target}_{part}") for part in "qkvo"]
    made = tuple(rule(f"{block}.{layer}.{part}.weight", f"{name}.weight") for part, name in names)
    return (*made, rule(f"{block}.{layer}.relative_attention_bias.weight", f"{target}_rel_b.weight"))


def _feed_forward(layer: str, target: str) -> tuple[Rule, ...]:
    names = (("wi", "ffn_up"), ("wi_0", "ffn_gate"), ("wi_1", "ffn_up"), ("wo", "ffn_down"))
    made = tuple(rule(f"{layer}.DenseReluDense.{part}.weight", f"{target}.{name}.weight") for part, name in names)
    return (rule(f"{layer}.layer_norm.weight", f"{target}.ffn_norm.weight"), *made)


_ENCODER, _DECODER = "encoder.block.{i}", "decoder.block.{i}"
ENCODER = (
    rule("shared.weight", "token_embd.weight"),
    rule(f"{_ENCODER}.layer.0.layer_norm.weight", "enc.blk.{i}.attn_norm.weight"),
    *_attention(_ENCODER, "layer.0.SelfAttention", "enc.blk.{i}.attn"),
    *_feed_forward(f"{_ENCODER}.layer.1", "enc.blk.{i}"),
    rule("encoder.final_layer_norm.weight", "enc.output_norm.weight"),
)
DECODER = (
    rule(f"{_DECODER}.layer.0.layer_norm.weight", "dec.blk.{i}.attn_norm.weight"),
    *_attention(_DECODER, "layer.0.SelfAttention", "dec.blk.{i}.attn"),
    rule(f"{_DECODER}.layer.1.layer_norm.weight", "dec.blk.{i}.cross_attn_norm.weight"),
    *_attention(_DECODER, "layer.1.EncDecAttention", "dec.blk.{i}.cross_attn"),
    *_feed_forward(f"{_DECODER}.layer.2", "dec.blk.{i}"),
    rule("^lm_head.weight", "output.weight"),
)
KEYS = (
    Key("context_length", ("n_positions",), default=512),
    Key("embedding_length", ("d_model",)),
    Key("feed_forward_length", ("d_ff",)),
    *common("block_count"),
    Key("attention.head_count", ("num_heads",)),
    Key("attention.key_length", ("d_kv",)),
    Key("attention.value_length", ("d_kv",)),
    Key("attention.layer_norm_epsilon", ("layer_norm_epsilon",), "f32", default=1e-6),
    Key("attention.layer_norm_rms_epsilon", ("layer_norm_epsilon",), "f32", default=1e-6),
    Key("attention.relative_buckets_count", ("relative_attention_num_buckets",), default=32),
)


def _tied(config: Config) -> bool:
    return config.get("tie_word_embeddings", default=True) is True


def _whole(name: str, tied: bool, last: Operation) -> Family:
    return Family(
        name=name,
        architectures=(
            "T5ForConditionalGeneration",
            "T5WithLMHeadModel",
            "T5Model",
            "MT5ForConditionalGeneration",
            "UMT5ForConditionalGeneration",
            "UMT5Model",
        ),
        arch="t5",
        rules=(*ENCODER, *DECODER, rule("decoder.final_layer_norm.weight", "dec.output_norm.weight", last)),
        keys=(
            *KEYS,
            Key("decoder_block_count", ("num_decoder_layers",)),
            Key("decoder_start_token_id", ("decoder_start_token_id",), default=0),
        ),
        vocabulary=("unigram", "spm"),
        prefixes=("",),
        accepts=lambda config: _tied(config) is tied,
        place=_one_table,
        adjust=ACTIVATION,
    )


FAMILIES = (
    _whole("tied", tied=True, last=RootScale("width")),
    _whole("untied", tied=False, last=SAME),
    Family(
        name="encoder",
        architectures=("T5EncoderModel", "MT5EncoderModel", "UMT5EncoderModel"),
        arch="t5encoder",
        rules=ENCODER,
        keys=KEYS,
        vocabulary=("unigram", "spm"),
        prefixes=("",),
        drop=(r"decoder\..*", r"lm_head\.weight"),
        place=_one_table,
        adjust=ACTIVATION,
    ),
)
