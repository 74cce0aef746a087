"""LLaMA 1 to 3.3 and what is built like it: Alpaca, Vicuna, OpenLLaMA, Yi, Mistral, Mixtral, SmolLM2."""

from __future__ import annotations

from convert.family import Family, rule
from convert.keys import COMMON, ROPE_DIMENSION, VOCABULARY_SIZE
from convert.operations import Stack
from convert.rope import ROPE_FREQUENCIES
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, NORMS, PERMUTED, VALUES

MIXTRAL = (
    rule("layers.{i}.block_sparse_moe.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w1.weight", "blk.{i}.ffn_gate_exps.weight", Stack()),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w2.weight", "blk.{i}.ffn_down_exps.weight", Stack()),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w3.weight", "blk.{i}.ffn_up_exps.weight", Stack()),
)

FAMILY = Family(
    architectures=("LlamaForCausalLM", "LLaMAForCausalLM", "LlamaModel", "MistralForCausalLM", "MixtralForCausalLM"),
    arch="llama",
    rules=(EMBEDDING, *NORMS, *PERMUTED, *VALUES, *FEED_FORWARD, *MIXTRAL, *HEAD),
    keys=(*COMMON, VOCABULARY_SIZE, ROPE_DIMENSION),
    vocabulary=("spm", "llama_hf", "bpe"),
    extras=(ROPE_FREQUENCIES,),
)
