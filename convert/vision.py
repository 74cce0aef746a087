"""What all eyes have: the header's entries, the transformer's tensors, values that config.json leaves to the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convert.config import Config
from convert.defaults import number
from convert.family import Key, Rule, rule
from engine.api.errors import UserError

ARCH = "clip"
# The language model beside the eyes.
TEXT = (
    r"(model\.)?(language_model|text_model)\..*",
    r"(model\.)?(layers|embed_tokens|norm)\..*",
    r"lm_head\..*",
)
PATCHES = (r"v\.patch_embd\.weight(\.1)?|mm\.patch_merger\.weight", "F16/F32")
POSITIONS = (r"v\.position_embd\.weight", "F32")


def with_usual_eyes(**usual: Any) -> Callable[[Config], Config]:
    """For Family.adjust: `usual` values for what vision_config lacks, and as `pictures` how they are prepared."""

    def adjust(config: Config) -> Config:
        said = config.whole.get("vision_config")
        if not isinstance(said, dict):
            raise no_eyes()
        given = {key: value for key, value in said.items() if value is not None}
        return config.having(vision_config={**usual, **given}, pictures=_pictures(config))

    return adjust


def _pictures(config: Config) -> dict[str, Any]:
    """preprocessor_config.json, newer files processor_config.json. Raises UserError no_preprocessor."""
    found: dict[str, Any] = {}
    for name, inner in (("preprocessor_config.json", "media_proc_cfg"), ("processor_config.json", "image_processor")):
        values = config.beside(name)
        if isinstance(values, dict):
            part = values.get(inner)
            found |= values | (part if isinstance(part, dict) else {})
    if not isinstance(found.get("image_mean"), list) or not isinstance(found.get("image_std"), list):
        raise UserError(
            "no_preprocessor",
            "The folder has no preprocessor_config.json with image_mean and image_std.",
            "Download it from the model's own page into the same folder: without it pictures are seen wrongly.",
        )
    return found


def no_eyes() -> UserError:
    """The error of a checkpoint without a vision tower."""
    return UserError(
        "no_eyes",
        "This checkpoint has no vision tower: there is no projector to make.",
        "Take the original model's projector, or download all of its files.",
    )


def said_epsilon(usual: float) -> Callable[[Config], float]:
    """vision_config's own, else the published code's. Raises UserError config_lacks."""
    return lambda config: number(config.get("vision_config.layer_norm_eps", default=usual), "layer_norm_eps")


def eyes(projector: str, epsilon: Callable[[Config], float]) -> tuple[Key, ...]:
    """The entries of every kind; `projector`: llama.cpp's word for it."""
    inner = "vision_config."
    return (
        Key("has_vision_encoder", kind="bool", default=True),
        Key("projector_type", kind="str", default=projector),
        Key("vision.projection_dim", value=lambda config: config.size("width")),
        Key("vision.image_size", (inner + "image_size",)),
        Key("vision.patch_size", (inner + "patch_size",)),
        Key("vision.embedding_length", (inner + "hidden_size",)),
        Key("vision.feed_forward_length", (inner + "intermediate_size",)),
        Key("vision.block_count", (inner + "num_hidden_layers",)),
        Key("vision.attention.head_count", (inner + "num_attention_heads",)),
        Key("vision.attention.layer_norm_epsilon", kind="f32", value=epsilon),
        Key("vision.image_mean", ("pictures.image_mean",), "[f32]"),
        Key("vision.image_std", ("pictures.image_std",), "[f32]"),
    )


def tower() -> tuple[Rule, ...]:
    """Tensors of CLIP's and SigLIP's transformers."""
    layer, block = "encoder.layers.{i}.", "v.blk.{i}."
    names = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.out_proj": "attn_out",
        "layer_norm1": "ln1",
        "layer_norm2": "ln2",
        "mlp.fc1": "ffn_up",
        "mlp.fc2": "ffn_down",
    }
    return (
        rule("embeddings.patch_embedding.{end}", "v.patch_embd.{end}"),
        rule("embeddings.position_embedding.weight", "v.position_embd.weight"),
        *(rule(f"{layer}{one}.{{end}}", f"{block}{other}.{{end}}") for one, other in names.items()),
    )
