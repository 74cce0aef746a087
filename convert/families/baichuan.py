"""Baichuan 1 and 2, 7B (rotary positions) and 13B (ALiBi), which llama.cpp tells apart by their 32 or 40 blocks.

Upstream breaks on all of them: its hook calls itself. Baichuan 2 makes its head's rows of length one whenever it uses
them (NormHead); here that is done once. Its config alone has z_loss_weight.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, Rule, rule
from convert.keys import COMMON, ROPE_DIMENSION
from convert.operations import SAME, Chain, Operation, Permute, Split, UnitRows
from convert.operations_apart import Apart
from convert.rules import EMBEDDING, FEED_FORWARD, NORMS, OUTPUT
from convert.taken_for_granted import only

BLOCKS = (32, 40)  # with others llama.cpp computes neither kind of position
SECOND = 125696  # words of Baichuan 2
THIRDS = Chain((Split(parts=3), Apart((Permute("heads"), Permute("kv_heads"), SAME))))


def _second(config: Config) -> bool:
    words = config.get("vocab_size")
    return config.get("z_loss_weight") is not None or (isinstance(words, int) and words >= SECOND)


def _rules(head: Operation) -> tuple[Rule, ...]:
    parts = ("blk.{i}.attn_q.weight", "blk.{i}.attn_k.weight", "blk.{i}.attn_v.weight")
    return (
        EMBEDDING,
        *NORMS,
        rule("layers.{i}.self_attn.W_pack.weight", parts, THIRDS),
        OUTPUT,
        *FEED_FORWARD,
        rule("norm.weight", "output_norm.weight"),
        rule("^lm_head.weight", "output.weight", head),
    )


def _family(name: str, second: bool) -> Family:
    return Family(
        name=name,
        architectures=("BaichuanForCausalLM", "BaiChuanForCausalLM"),
        arch="baichuan",
        rules=_rules(UnitRows() if second else SAME),
        keys=(*COMMON, Key("tensor_data_layout", kind="str", default="Meta AI original pth"), ROPE_DIMENSION),
        vocabulary=("spm",),
        drop=(r"model\.(alibi|future)_mask",),
        accepts=lambda config: _second(config) is second,
        adjust=only(num_hidden_layers=BLOCKS, hidden_act="silu"),
    )


FAMILIES = (_family("1", second=False), _family("2", second=True))
