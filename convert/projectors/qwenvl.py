"""Qwen 2 VL and 2.5 VL: two pictures of a film at once, patches gathered four by four.

Upstream writes the language model's width for Qwen 2 VL's feed-forward blocks; llama.cpp does not read it, so be it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from convert.config import Config
from convert.defaults import number
from convert.family import Family, Key, rule
from convert.operations import Array, Laid, Sizes, Split, laid, odd_shape
from convert.vision import ARCH, PATCHES, POSITIONS, TEXT, eyes, with_usual_eyes
from engine.api.errors import UserError


@dataclass(frozen=True)
class TwoPictures:
    """A convolution over two pictures (outputs, colours, 2, rows, columns) -> one for each."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (array,) = arrays
        if array.ndim != 5 or array.shape[2] != 2:
            raise odd_shape(array, "it should be for two pictures")
        return [laid(array[:, :, 0]), laid(array[:, :, 1])]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(np.stack(list(arrays), axis=2))]


def _named(config: Config) -> Config:
    """With the names that others have: depth, num_heads and embed_dim are Qwen's own."""
    own = config.whole.get("vision_config")
    said = dict(own) if isinstance(own, dict) else {}
    if _second(config):
        usual = {"hidden_size": 3584, "intermediate_size": 3420, "depth": 32, "num_heads": 16}
        said = {**usual, **said}
    else:
        said = {"embed_dim": 1280, "hidden_size": 3584, "depth": 32, "num_heads": 16, **said}
        said |= {"intermediate_size": said["hidden_size"], "hidden_size": said["embed_dim"]}
    said |= {"num_hidden_layers": said["depth"], "num_attention_heads": said["num_heads"]}
    usual_too = with_usual_eyes(image_size=560, patch_size=14)
    return usual_too(config.having(vision_config=said) if isinstance(own, dict) else config)


def _second(config: Config) -> bool:
    return str(config.whole.get("model_type", "")).startswith("qwen2_5")


def _every(config: Config) -> int:
    """Each so-manieth layer looks at all of the picture, the others through windows. Raises UserError config_lacks."""
    full = config.get("vision_config.fullatt_block_indexes", default=[7, 15, 23, 31])
    step = full[0] + 1 if isinstance(full, list) and full and isinstance(full[0], int) else 0
    if step < 1 or full != [step * (place + 1) - 1 for place in range(len(full))]:
        raise UserError(
            "config_lacks",
            "config.json has no usable fullatt_block_indexes.",
            "Take the file from the model's own page.",
            key="fullatt_block_indexes",
        )
    return step


_NAMES = {"norm1": "ln1", "norm2": "ln2", "attn.proj": "attn_out", "mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down"}
_NAMES |= {"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def _family(name: str, architecture: str, projector: str, more: tuple[Key, ...]) -> Family:
    return Family(
        name=name,
        architectures=(architecture,),
        arch=ARCH,
        rules=(
            rule("patch_embed.proj.weight", ("v.patch_embd.weight", "v.patch_embd.weight.1"), TwoPictures()),
            rule(
                "blocks.{i}.attn.qkv.{end}",
                ("v.blk.{i}.attn_q.{end}", "v.blk.{i}.attn_k.{end}", "v.blk.{i}.attn_v.{end}"),
                Split(parts=3),
            ),
            *(rule(f"blocks.{{i}}.{one}.{{end}}", f"v.blk.{{i}}.{other}.{{end}}") for one, other in _NAMES.items()),
            rule("merger.ln_q.{end}", "v.post_ln.{end}"),
            rule("merger.mlp.0.{end}", "mm.0.{end}"),
            rule("merger.mlp.2.{end}", "mm.2.{end}"),
        ),
        keys=(*eyes(projector, lambda config: number(config.whole.get("rms_norm_eps") or 1e-6, "rms_norm_eps")), *more),
        prefixes=("visual.", "model.visual."),
        drop=TEXT,
        types=(PATCHES, POSITIONS),
        adjust=_named,
    )


PROJECTORS = (
    _family("2", "Qwen2VLForConditionalGeneration", "qwen2vl_merger", ()),
    _family(
        "2.5",
        "Qwen2_5_VLForConditionalGeneration",
        "qwen2.5vl_merger",
        (Key("use_silu", kind="bool", default=True), Key("vision.n_wa_pattern", value=_every)),
    ),
)
