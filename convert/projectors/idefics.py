"""Idefics 3 and SmolVLM: SigLIP's eyes, patches gathered in squares, one matrix to the language model."""

from __future__ import annotations

from convert.family import Family, Key, rule
from convert.vision import ARCH, POSITIONS, TEXT, eyes, said_epsilon, tower, with_usual_eyes

PROJECTOR = Family(
    architectures=("Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"),
    arch=ARCH,
    rules=(
        *tower(),
        rule("post_layernorm.{end}", "v.post_ln.{end}"),
        rule("^model.connector.modality_projection.proj.{end}", "mm.model.fc.{end}"),
    ),
    keys=(
        *eyes(
            "idefics3",
            said_epsilon(1e-6),
        ),
        Key("vision.projector.scale_factor", ("scale_factor",), default=2),
        Key("use_gelu", kind="bool", default=True),
        Key("vision.preproc_image_size", ("pictures.size.longest_edge", "vision_config.image_size")),
    ),
    prefixes=("model.vision_model.",),
    drop=TEXT,
    types=((r"v\.patch_embd\.weight", "F32"), POSITIONS),
    adjust=with_usual_eyes(
        hidden_size=1152,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=16,
        image_size=224,
        patch_size=32,
    ),
)
