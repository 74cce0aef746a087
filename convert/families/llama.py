"""LLaMA 1 to 3.3 and what is built like it: Alpaca, Vicuna, OpenLLaMA, Yi, Mistral, Mixtral, SmolLM2.

Also the language models inside LLaVA, Idefics 3 and SmolVLM where they are of this kind.
"""

from __future__ import annotations

from convert.config import Config
from convert.defaults import head_width, heads, with_usual
from convert.family import Entries, Family, rule
from convert.keys import COMMON, ROPE_DIMENSION, VOCABULARY_SIZE
from convert.operations import Stack
from convert.rope import ROPE_FREQUENCIES
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, NORMS, OTHER_SENSES, PERMUTED, TEXT_PREFIXES, VALUES

MIXTRAL = (
    rule("layers.{i}.block_sparse_moe.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w1.weight", "blk.{i}.ffn_gate_exps.weight", Stack()),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w2.weight", "blk.{i}.ffn_down_exps.weight", Stack()),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w3.weight", "blk.{i}.ffn_up_exps.weight", Stack()),
)
DENSE = (EMBEDDING, *NORMS, *PERMUTED, *VALUES, *FEED_FORWARD, *HEAD)
KEYS = (*COMMON, VOCABULARY_SIZE, ROPE_DIMENSION)
VOCABULARY = ("spm", "llama_hf", "bpe")
_USUAL = {
    "llama": with_usual(
        vocab_size=32000,
        max_position_embeddings=2048,
        rms_norm_eps=1e-6,
        rope_theta=10000.0,
        head_dim=head_width,
        num_key_value_heads=heads,
    ),
    "mistral": with_usual(
        vocab_size=32000,
        max_position_embeddings=131072,
        rms_norm_eps=1e-6,
        rope_theta=10000.0,
        num_key_value_heads=8,
    ),
    "mixtral": with_usual(
        vocab_size=32000,
        max_position_embeddings=131072,
        rms_norm_eps=1e-5,
        rope_theta=1e6,
        num_key_value_heads=8,
        num_local_experts=8,
        num_experts_per_tok=2,
    ),
}
_BUILT_LIKE_IT = (
    "LlavaForConditionalGeneration",
    "LlavaNextForConditionalGeneration",
    "Idefics3ForConditionalGeneration",
    "SmolVLMForConditionalGeneration",
)


def _completed(config: Config) -> Config:
    """As LlamaConfig, MistralConfig or MixtralConfig complete it; SmolVLM2's leaves out how many heads there are."""
    if config.architecture == "VLlama3ForCausalLM" and not config.has("heads"):
        config = config.having(num_attention_heads=32)
    kind = str(config.get("model_type", default="llama"))
    return _USUAL.get(kind, _USUAL["llama"])(config)


def _accepted(config: Config) -> bool:
    """Whether the language model inside a model of several senses is one of these."""
    return config.architecture not in _BUILT_LIKE_IT or config.get("model_type") in _USUAL


def special_entries(config: Config, entries: Entries) -> Entries:
    """CodeLlama's tokens for filling in, and no first token for code models of Granite's kind."""
    size = config.get("vocab_size")
    if size == 32016:
        ids = {"prefix": 32007, "suffix": 32008, "middle": 32009, "eot": 32010}
        entries |= {f"tokenizer.ggml.{name}_token_id": ("u32", number) for name, number in ids.items()}
    if size == 49152:
        entries["tokenizer.ggml.add_bos_token"] = ("bool", False)
    return entries


FAMILY = Family(
    architectures=(
        "LlamaForCausalLM",
        "LLaMAForCausalLM",
        "LlamaModel",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "VLlama3ForCausalLM",
        "IQuestCoderForCausalLM",
        *_BUILT_LIKE_IT,
    ),
    arch="llama",
    rules=(*DENSE, *MIXTRAL),
    keys=KEYS,
    vocabulary=VOCABULARY,
    prefixes=TEXT_PREFIXES,
    drop=OTHER_SENSES,
    extras=(ROPE_FREQUENCIES,),
    accepts=_accepted,
    adjust=_completed,
    entries=special_entries,
)
