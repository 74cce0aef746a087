"""Rules for tensors that many families name alike."""

from __future__ import annotations

from convert.config import Config
from convert.family import rule
from convert.operations import Permute, Split, Stack

# Where the language model lies in a model of several senses, and what of such a model is not its language model.
TEXT_PREFIXES = ("model.", "", "language_model.model.", "model.language_model.", "model.text_model.")
OTHER_SENSES = (
    r"(model\.)?(vision_tower|vision_model|vision_embed_tokens|visual|audio_tower|audio_model|sound_encoder)\..*",
    r"(model\.)?(multi_modal_projector|mm_projector|connector|embed_vision|embed_audio|image_newline)(\..*)?",
)
EMBEDDING = rule("embed_tokens.weight", "token_embd.weight")
HEAD = (
    rule("norm.weight", "output_norm.weight"),
    rule("^lm_head.weight", "output.weight"),
    rule("^language_model.lm_head.weight", "output.weight"),
)
NORMS = (
    rule("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
    rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
)
HEAD_BIASED = (rule("norm.{end}", "output_norm.{end}"), rule("^lm_head.weight", "output.weight"))
NORMS_BIASED = (
    rule("layers.{i}.input_layernorm.{end}", "blk.{i}.attn_norm.{end}"),
    rule("layers.{i}.post_attention_layernorm.{end}", "blk.{i}.ffn_norm.{end}"),
)
PERMUTED = (
    rule("layers.{i}.self_attn.q_proj.{end}", "blk.{i}.attn_q.{end}", Permute("heads")),
    rule("layers.{i}.self_attn.k_proj.{end}", "blk.{i}.attn_k.{end}", Permute("kv_heads")),
)
STRAIGHT = (
    rule("layers.{i}.self_attn.q_proj.{end}", "blk.{i}.attn_q.{end}"),
    rule("layers.{i}.self_attn.k_proj.{end}", "blk.{i}.attn_k.{end}"),
)
OUTPUT = rule("layers.{i}.self_attn.o_proj.{end}", "blk.{i}.attn_output.{end}")
VALUES = (rule("layers.{i}.self_attn.v_proj.{end}", "blk.{i}.attn_v.{end}"), OUTPUT)
FEED_FORWARD = (
    rule("layers.{i}.mlp.gate_proj.{end}", "blk.{i}.ffn_gate.{end}"),
    rule("layers.{i}.mlp.up_proj.{end}", "blk.{i}.ffn_up.{end}"),
    rule("layers.{i}.mlp.down_proj.{end}", "blk.{i}.ffn_down.{end}"),
)
HEAD_NORMS = (
    rule("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight"),
    rule("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight"),
)
ROUTER = rule("layers.{i}.mlp.gate.weight", "blk.{i}.ffn_gate_inp.weight")
# One tensor an expert, as published; all experts in one, gate and up fused, as transformers 5 saves them.
EXPERTS = (
    rule("layers.{i}.mlp.experts.{e}.gate_proj.weight", "blk.{i}.ffn_gate_exps.weight", Stack()),
    rule("layers.{i}.mlp.experts.{e}.up_proj.weight", "blk.{i}.ffn_up_exps.weight", Stack()),
    rule("layers.{i}.mlp.experts.{e}.down_proj.weight", "blk.{i}.ffn_down_exps.weight", Stack()),
)
_HALVES = ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight")
FUSED_EXPERTS = (
    rule("layers.{i}.mlp.experts.gate_up_proj", _HALVES, Split(axis=1)),
    rule("layers.{i}.mlp.experts.gate_up_proj.weight", _HALVES, Split(axis=1)),
    rule("layers.{i}.mlp.experts.down_proj", "blk.{i}.ffn_down_exps.weight"),
    rule("layers.{i}.mlp.experts.down_proj.weight", "blk.{i}.ffn_down_exps.weight"),
)
# Experts that every token goes through: DeepSeek's plural, Qwen's singular with a gate of its own.
SHARED_EXPERTS = (
    rule("layers.{i}.mlp.shared_experts.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
    rule("layers.{i}.mlp.shared_experts.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
    rule("layers.{i}.mlp.shared_experts.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
)
GATED_EXPERT = (
    rule("layers.{i}.mlp.shared_expert.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
    rule("layers.{i}.mlp.shared_expert.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
    rule("layers.{i}.mlp.shared_expert.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
    rule("layers.{i}.mlp.shared_expert_gate.weight", "blk.{i}.ffn_gate_inp_shexp.weight"),
)
# A layer behind the last one that looks one token further.
NEXT_TOKEN = (
    rule("layers.{i}.eh_proj.weight", "blk.{i}.nextn.eh_proj.weight"),
    rule("layers.{i}.embed_tokens.weight", "blk.{i}.nextn.embed_tokens.weight"),
    rule("layers.{i}.enorm.weight", "blk.{i}.nextn.enorm.weight"),
    rule("layers.{i}.hnorm.weight", "blk.{i}.nextn.hnorm.weight"),
    rule("layers.{i}.shared_head.head.weight", "blk.{i}.nextn.shared_head_head.weight"),
    rule("layers.{i}.shared_head.norm.weight", "blk.{i}.nextn.shared_head_norm.weight"),
)
# Mixtral's names, which MiniMax has, too.
BLOCK_SPARSE = (
    rule("layers.{i}.block_sparse_moe.gate.weight", "blk.{i}.ffn_gate_inp.weight"),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w1.weight", "blk.{i}.ffn_gate_exps.weight", Stack()),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w2.weight", "blk.{i}.ffn_down_exps.weight", Stack()),
    rule("layers.{i}.block_sparse_moe.experts.{e}.w3.weight", "blk.{i}.ffn_up_exps.weight", Stack()),
)


def without_tied_head(config: Config, name: str) -> str:
    """For Family.place: a head that is the embedding again is left out."""
    return "" if name.endswith("lm_head.weight") and config.get("tie_word_embeddings") else name
