"""The language models inside Qwen 2-VL, 2.5-VL and 3-VL: Qwen 2's and Qwen 3's networks, three positions a token.

Eyes of the first two become a file of their own (projectors/qwenvl.py); those of the third are not converted yet.
"""

from __future__ import annotations

from convert.config import Config
from convert.families.qwen2 import FAMILY as QWEN2
from convert.families.qwen3 import FAMILY as QWEN3
from convert.families.qwen3moe import FAMILY as QWEN3MOE
from convert.family import Family, Key, rule
from convert.operations import Chain, Split, Transpose
from convert.rules import OTHER_SENSES, TEXT_PREFIXES, without_tied_head


def _deep(config: Config) -> int:
    """How many of its first layers are given what the eyes saw half-way."""
    said = (config.whole.get("vision_config") or {}).get("deepstack_visual_indexes")
    return len(said) if isinstance(said, list) else 0


_EXPERTS = "layers.{i}.mlp.experts."
_HALVES = ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight")
_TURNED_EXPERTS = (
    rule(f"{_EXPERTS}gate_up_proj", _HALVES, Chain((Transpose(), Split(axis=1)))),
    rule(f"{_EXPERTS}down_proj", "blk.{i}.ffn_down_exps.weight", Transpose()),
)

FAMILIES = (
    Family(
        name="2",
        architectures=("Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration"),
        arch="qwen2vl",
        rules=QWEN2.rules,
        keys=QWEN2.keys,
        vocabulary=QWEN2.vocabulary,
        prefixes=TEXT_PREFIXES,
        drop=OTHER_SENSES,
    ),
    Family(
        name="3",
        architectures=("Qwen3VLForConditionalGeneration",),
        arch="qwen3vl",
        rules=QWEN3.rules,
        keys=(*QWEN3.keys, Key("n_deepstack_layers", value=_deep)),
        vocabulary=QWEN3.vocabulary,
        prefixes=TEXT_PREFIXES,
        drop=OTHER_SENSES,
        place=without_tied_head,
    ),
    Family(
        name="3-moe",
        architectures=("Qwen3VLMoeForConditionalGeneration",),
        arch="qwen3vlmoe",
        rules=(*_TURNED_EXPERTS, *QWEN3MOE.rules),
        keys=(*QWEN3MOE.keys, Key("n_deepstack_layers", value=_deep)),
        vocabulary=QWEN3MOE.vocabulary,
        prefixes=TEXT_PREFIXES,
        drop=OTHER_SENSES,
        place=without_tied_head,
    ),
)
