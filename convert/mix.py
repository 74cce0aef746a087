"""llama.cpp's choice of a type for each tensor, restated: from names, shapes and a few facts of the model.

The rules of each mix are data (convert/recipes). Here is what all of them share: which tensors are quantized at all,
the output's own type, what is raised in very large models, and what becomes of rows that do not fill whole blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from convert.note import note, spoken
from convert.recipe import Recipe, Rule, recipe
from engine.api.errors import UserError
from engine.llama.ggml_types import ABORTS_WITHOUT, BLOCKS, NEEDS_IMPORTANCE, PLAIN, fits

Shape = tuple[int, ...]  # elements, the quickest dimension first, as GGUF has them

# Parts of names that stay as they are: routers, small convolutions, position tables, codebooks …
_KEPT = [
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
]
_KEPT_BY = {
    "glm5-next": [
        "hc_",
        "indexer.attn_q_b",
        "indexer.attn_k",
        "indexer.proj",
        "indexer_compressor_gate",
        "indexer_compressor_ape",
        "ssm_f_a.weight",
        "ssm_f_b.weight",
        "ssm_g_a.weight",
        "ssm_g_b.weight",
        "ssm_beta.weight",
        "attn_kv_a_mqa.weight",
        "attn_k_b.weight",
        "attn_v_b.weight",
    ]
}
_KEPT_WHOLE = ("position_embd.weight", "token_types.weight")
_EIGHT_BITS_BY = {"glm5-next": ("attn_q_a", "attn_q_b", "nextn.eh_proj")}
_EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")
# Looked for in this order.
_PARTS = (
    ("attn_qkv.weight", "attn_v"),
    ("attn_kv_b.weight", "attn_v"),
    ("attn_v.weight", "attn_v"),
    ("attn_k.weight", "attn_k"),
    ("attn_q.weight", "attn_q"),
    ("attn_output.weight", "attn_output"),
    ("ffn_up", "ffn_up"),
    ("ffn_gate", "ffn_gate"),
    ("ffn_down", "ffn_down"),
)
_SMALLER = {
    **dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"), "IQ4_NL"),
    **dict.fromkeys(("Q2_0", "Q2_K", "Q3_K", "TQ1_0", "TQ2_0"), "Q4_0"),
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}
_LAYER = re.compile(r"blk\.\s*([+-]?\d+)")
_70B = {"llama": 80, "llama-embed": 80, "qwen2": 80, "deci": 80, "olmo": 80, "jais2": 68}


@dataclass(frozen=True)
class Facts:
    """What the choice depends on beside the tensors: numbers of layers, of heads in the first layer, of experts."""

    architecture: str
    layers: int
    heads: int = 0
    kv_heads: int = 0
    experts: int = 0

    @property
    def gqa(self) -> int:
        """Heads that share one key-value head; 0 where there are none."""
        return self.heads // self.kv_heads if self.kv_heads else 0

    @property
    def giant(self) -> bool:
        """Whether llama.cpp counts this as one of its 70B models."""
        if self.layers != _70B.get(self.architecture):
            return False
        return not self.architecture.startswith("llama") or (self.experts != 8 and self.heads != self.kv_heads)


@dataclass(frozen=True)
class Choice:
    """The type of a tensor; `wanted` is another one where rows do not fill that one's blocks."""

    type: str
    wanted: str

    @property
    def fallback(self) -> bool:
        """Whether the shape did not allow what the recipe wanted."""
        return self.type != self.wanted


def types_for(
    chosen: Recipe | str, shapes: Mapping[str, Shape], facts: Facts, imatrix: bool = False, ordered: bool = False
) -> dict[str, str]:
    """The type of each tensor that is quantized; what is not named here stays in the type it has.

    `shapes`: all tensors of the model by name. `imatrix`: whether importances are known. `ordered`: the tensors come
    in an order that counts (the parts of a split model, kept), else they are sorted as llama.cpp does.
    Raises UserError unknown_recipe, odd_tensor, bad_override.
    """
    return {name: choice.type for name, choice in choices(chosen, shapes, facts, imatrix, ordered).items()}


def choices(
    chosen: Recipe | str, shapes: Mapping[str, Shape], facts: Facts, imatrix: bool = False, ordered: bool = False
) -> dict[str, Choice]:
    """As `types_for`, with what the recipe wanted where the shape did not allow it."""
    found = recipe(chosen) if isinstance(chosen, str) else chosen
    names = list(shapes) if ordered else sorted(shapes, key=_place)
    mixing = _Mixing(found, facts, imatrix, tied="output.weight" not in shapes)
    mixing.attention = sum(_part(name) == "attn_v" for name in names)
    quantized = (name for name in names if is_quantized(name, shapes[name], facts.architecture))
    return {name: mixing.choose(name, shapes[name]) for name in quantized}


def is_quantized(name: str, shape: Shape, architecture: str) -> bool:
    """Whether a tensor is quantized at all: matrices that are no norms, routers, position tables …"""
    if len(_trimmed(shape)) < 2 or not name.endswith("weight") or name in _KEPT_WHOLE:
        return False
    return not any(part in name for part in (*_KEPT, *_KEPT_BY.get(architecture, ())))


def wanting_importance(types: Mapping[str, str], chosen: Recipe) -> tuple[str, ...]:
    """Names of the tensors that become garbage without importances in these types."""

    def wants(name: str, type: str) -> bool:
        if type in ABORTS_WITHOUT:
            return True
        if name in _EMBEDDINGS or name == "output.weight":
            return False
        return type in NEEDS_IMPORTANCE or (type == "Q2_K" and chosen.file_type == recipe("Q2_K_S").file_type)

    return tuple(name for name, type in types.items() if wants(name, type))


@dataclass
class _Mixing:
    """One walk over all tensors in order; the n-th of a kind may be treated in its own way."""

    recipe: Recipe
    facts: Facts
    imatrix: bool
    tied: bool
    attention: int = 0
    seen: dict[str, int] = field(default_factory=dict)

    def choose(self, name: str, shape: Shape) -> Choice:
        if self.recipe.plain:
            return Choice(self.recipe.type, self.recipe.type)
        forced = next((item.type for item in self.recipe.overrides if item.matches(name)), None)
        wanted = forced or self._mixed(name, shape)
        return Choice(_fallback(name, shape[0], wanted), wanted)

    def _mixed(self, name: str, shape: Shape) -> str:
        part = _part(name)
        if any(held in name for held in _EIGHT_BITS_BY.get(self.facts.architecture, ())):
            return "Q8_0"
        if part == "output" or (part == "token_embd" and self.tied):
            return self._head(shape[0])
        number = self.seen.get(part, 0)
        rule = next((rule for rule in self.recipe.rules if self._holds(rule, name, part, shape, number)), None)
        self.seen[part] = number + 1
        self._check_layer(name, part)
        return self._raised(part, rule.type if rule else self.recipe.type)

    def _head(self, columns: int) -> str:
        odd = self.facts.architecture == "falcon" or not fits(columns, self.recipe.type)
        return "Q8_0" if odd else self.recipe.head

    def _raised(self, part: str, type: str) -> str:
        if not self.recipe.raises or part not in ("attn_v", "attn_k"):
            return type
        if self.facts.experts == 8:
            return "Q8_0"
        return "Q5_K" if part == "attn_v" and self.facts.giant and type in ("Q3_K", "Q4_K") else type

    def _holds(self, rule: Rule, name: str, part: str, shape: Shape, number: int) -> bool:
        facts = self.facts
        stacked = len(_trimmed(shape)) > 2 and shape[2] > 1
        return (
            (part in rule.parts or "any" in rule.parts)
            and facts.gqa >= rule.gqa_least
            and rule.experts in (0, facts.experts)
            and facts.experts >= rule.experts_least
            and rule.stacked in (None, stacked)
            and rule.imatrix in (None, self.imatrix)
            and rule.architecture in ("", facts.architecture)
            and rule.architecture_not != facts.architecture
            and (not rule.layers or self._is_there(rule.layers, name, part, number))
        )

    def _is_there(self, where: str, name: str, part: str, number: int) -> bool:
        total = self.attention if part == "attn_v" else self.facts.layers
        if part.startswith("ffn_") and self.facts.experts > 1 and where != "first_eighth_counted":
            number = _layer(name)
        eighth = total // 8
        return {
            "more_bits": number < eighth or number >= 7 * total // 8 or (number - eighth) % 3 == 2,
            "first_two": number < 2,
            "first_four": number < 4,
            "first_sixteenth": number < total // 16,
            "first_eighth": number < eighth,
            "first_eighth_counted": number < eighth,
            "middle": eighth <= number < 7 * total // 8,
        }[where]

    def _check_layer(self, name: str, part: str) -> None:
        """llama.cpp gives up on a mixture of experts whose layers are not numbered."""
        asked = part.startswith("ffn_") and self.facts.experts > 1 and self.recipe.raises
        if asked and not 0 <= _layer(name) < self.facts.layers:
            raise odd_tensor(
                name, note("of_no_layer", "belongs to none of the {count} layers", count=self.facts.layers)
            )


def odd_tensor(name: str, reason: str) -> UserError:
    """The error for a tensor that llama.cpp would not take."""
    return UserError(
        "odd_tensor",
        f"The tensor {name[:80]} {reason}.",
        "Choose another type, or another file of the model.",
        name=name[:80],
        reason=spoken(reason),
    )


def _fallback(name: str, columns: int, wanted: str) -> str:
    if wanted in PLAIN or fits(columns, wanted):
        return wanted
    smaller = _SMALLER.get(wanted)
    if smaller is None and BLOCKS[wanted][0] > 32:
        raise odd_tensor(
            name,
            note(
                "rows_of",
                "has rows of {columns} numbers, which do not fill blocks of {type}",
                columns=columns,
                type=wanted,
            ),
        )
    return smaller if smaller and fits(columns, smaller) else "F16"


def _part(name: str) -> str:
    if name == "output.weight":
        return "output"
    if name in _EMBEDDINGS:
        return "token_embd"
    return next((part for held, part in _PARTS if held in name), "other")


def _layer(name: str) -> int:
    found = _LAYER.match(name)
    return int(found[1]) if found else -1


def _place(name: str) -> tuple[int, bytes]:
    return _layer(name), name.encode()


def _trimmed(shape: Shape) -> Shape:
    """Without the dimensions of 1 at the end, which ggml does not count."""
    last = max((place for place, size in enumerate(shape) if size > 1), default=0)
    return shape[: last + 1]
