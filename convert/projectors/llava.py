"""LLaVA 1.5 and what is built like it: CLIP's eyes without their last block, two matrices to the language model.

Upstream's converter knows only Pixtral by this architecture; llama.cpp runs these. It takes the picture after the
second to last block, so the file must have the last one, too. The llama.cpp of today puts CLIP's vector of the whole
picture behind those of the patches instead of before them and then leaves out the first patch instead of that vector
(its issue 25814), for everybody's files alike: positions are off by one. The file is laid out as it should be.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, rule
from convert.vision import ARCH, PATCHES, POSITIONS, TEXT, eyes, said_epsilon, tower, with_usual_eyes


def _clip(config: Config) -> bool:
    """CLIP's eyes, looked through to the second to last block, without their first vector: as llama.cpp does it."""
    said = config.whole.get("vision_config") or {}
    usual = config.get("vision_feature_layer", default=-2) == -2
    return said.get("model_type") == "clip_vision_model" and usual and _patches_only(config)


def _patches_only(config: Config) -> bool:
    return bool(config.get("vision_feature_select_strategy", default="default") == "default")


def _usual_gelu(config: Config) -> bool:
    return bool(config.get("vision_config.hidden_act") in ("gelu", "gelu_pytorch_tanh"))


PROJECTOR = Family(
    architectures=("LlavaForConditionalGeneration",),
    arch=ARCH,
    rules=(
        rule("embeddings.class_embedding", "v.class_embd"),
        *tower(),
        rule("pre_layrnorm.{end}", "v.pre_ln.{end}"),
        rule("^multi_modal_projector.linear_1.{end}", "mm.0.{end}"),
        rule("^multi_modal_projector.linear_2.{end}", "mm.2.{end}"),
        rule("^model.multi_modal_projector.linear_1.{end}", "mm.0.{end}"),
        rule("^model.multi_modal_projector.linear_2.{end}", "mm.2.{end}"),
    ),
    keys=(
        *eyes("mlp", said_epsilon(1e-5)),
        Key("use_gelu", kind="bool", value=_usual_gelu),
    ),
    prefixes=("vision_tower.vision_model.", "model.vision_tower.vision_model.", "model.vision_tower."),
    drop=(*TEXT, r"(model\.)?vision_tower\.(vision_model\.)?(post_layernorm\..*|embeddings\.position_ids)"),
    types=(PATCHES, POSITIONS),
    accepts=_clip,
    adjust=with_usual_eyes(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        hidden_act="quick_gelu",
    ),
)
