"""Pixtral and Mistral Small 3.1 and later: rotary eyes, and the language model's own vector for where a line ends.

llama.cpp will not load such a file without that vector. Upstream's converter of today leaves it out with all of the
language model's tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from convert.config import Config
from convert.family import Family, Key, rule
from convert.operations import Array, Laid, Permute, Sizes, laid, no_way_back
from convert.vision import ARCH, PATCHES, eyes, no_eyes, said_epsilon, with_usual_eyes

_LINE_END = "[IMG_BREAK]"
_HEADS = Permute("vision_config.num_attention_heads")
_COMPLETED = with_usual_eyes(
    hidden_size=1024,
    intermediate_size=4096,
    num_hidden_layers=24,
    num_attention_heads=16,
    image_size=1024,
    patch_size=16,
    hidden_act="gelu",
)


@dataclass(frozen=True)
class OneRow:
    """A single row, as a vector. `number` names which."""

    number: str
    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(arrays[0][sizes.size(self.number)])]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        raise no_way_back("a row that was taken out")


def _with_line_end(config: Config) -> Config:
    """Raises UserError no_eyes where no tokenizer file names the token."""
    number = _number(config)
    if number is None:
        raise no_eyes()
    usual = {"spatial_merge_size": 2} if config.whole.get("model_type") == "mistral3" else {}
    merged = {key: config.get(key, default=value) for key, value in usual.items()}
    return _COMPLETED(config).having(line_end=number, **merged)


def _number(config: Config) -> int | None:
    said: Any = (config.beside("tokenizer_config.json") or {}).get("added_tokens_decoder") or {}
    rows = [(number, row) for number, row in said.items() if isinstance(row, dict)]
    added: Any = (config.beside("tokenizer.json") or {}).get("added_tokens") or []
    rows += [(row.get("id"), row) for row in added if isinstance(row, dict)]
    return next((int(number) for number, row in rows if row.get("content") == _LINE_END), None)


def _act(name: str) -> Key:
    def value(config: Config) -> bool | None:
        return True if config.get("vision_config.hidden_act") == name else None

    return Key(f"use_{name}", kind="bool", value=value)


_LAYER, _BLOCK = "vision_tower.transformer.layers.{i}.", "v.blk.{i}."
_ENDS = {"feed_forward.gate_proj": "ffn_gate", "feed_forward.up_proj": "ffn_up", "feed_forward.down_proj": "ffn_down"}
_ENDS |= {"attention.v_proj": "attn_v", "attention.o_proj": "attn_out", "attention_norm": "ln1", "ffn_norm": "ln2"}

PROJECTOR = Family(
    architectures=("LlavaForConditionalGeneration", "Mistral3ForConditionalGeneration"),
    arch=ARCH,
    rules=(
        rule("vision_tower.patch_conv.{end}", "v.patch_embd.{end}"),
        rule("vision_tower.ln_pre.{end}", "v.pre_ln.{end}"),
        rule(_LAYER + "attention.q_proj.{end}", _BLOCK + "attn_q.{end}", _HEADS),
        rule(_LAYER + "attention.k_proj.{end}", _BLOCK + "attn_k.{end}", _HEADS),
        *(rule(f"{_LAYER}{one}.{{end}}", f"{_BLOCK}{other}.{{end}}") for one, other in _ENDS.items()),
        rule("multi_modal_projector.linear_1.{end}", "mm.1.{end}"),
        rule("multi_modal_projector.linear_2.{end}", "mm.2.{end}"),
        rule("multi_modal_projector.norm.{end}", "mm.input_norm.{end}"),
        rule("multi_modal_projector.patch_merger.merging_layer.{end}", "mm.patch_merger.{end}"),
        rule("^language_model.model.embed_tokens.weight", "v.token_embd.img_break", OneRow("line_end")),
        rule("^model.language_model.embed_tokens.weight", "v.token_embd.img_break", OneRow("line_end")),
    ),
    keys=(
        *eyes("pixtral", said_epsilon(1e-5)),
        _act("silu"),
        _act("gelu"),
        Key("vision.spatial_merge_size", ("spatial_merge_size",)),
    ),
    prefixes=("", "model."),
    drop=(r"(model\.)?language_model\.(?!(model\.)?embed_tokens\.).*", r"lm_head\..*"),
    types=(PATCHES,),
    accepts=lambda config: (config.whole.get("vision_config") or {}).get("model_type") == "pixtral",
    adjust=_with_line_end,
)
