"""Recipes: which number format each kind of tensor gets. A recipe is a file of convert/recipes, named by its id.

The standard ones state llama.cpp's mixes as rules, first match wins (convert/mix.py reads them). A recipe of our own
has a `base` and overrides by pattern. A type's own name in any case, such as q4_k_m, finds its recipe.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convert.note import note, spoken
from engine.api.errors import UserError
from engine.llama.ggml_types import PLAIN, WRITABLE

FOLDER = Path(__file__).with_name("recipes")
WANTS = ("no", "better", "required")
PARTS = frozenset(
    "any output token_embd attn_q attn_k attn_v attn_output ffn_up ffn_gate ffn_down other".split()  # noqa: SIM905
)
LAYERS = frozenset(
    {"", "more_bits", "first_two", "first_four", "first_sixteenth", "first_eighth", "first_eighth_counted", "middle"}
)
LONGEST_PATTERN, MOST_OPEN, MOST_OVERRIDES = 200, 3, 200
# What a pattern may be made of: characters, classes and groups; only single ones of the first two may repeat.
_PIECE = re.compile(
    r"(?P<one>\\[.\-_\[\]()*+?{}|^$/dDwWsS]|\[\^?[A-Za-z0-9_.\-]{1,60}\]|[A-Za-z0-9_.\-])"
    r"(?P<times>\*|\+|\?|\{\d{1,2}(?:,\d{0,2})?\})?|\((?:\?:)?|\)|\||\^|\$"
)


@dataclass(frozen=True)
class Rule:
    """Tensors that get another type than the recipe's own: all that is given must hold.

    `parts`: names of PARTS; attn_v also stands for fused qkv and kv_b. `layers`: where in the model (LAYERS).
    `gqa_least`: heads to a key-value head. `experts`: exactly so many. `stacked`: experts in one tensor.
    `imatrix`: whether importances are known.
    """

    parts: frozenset[str]
    type: str
    layers: str = ""
    gqa_least: int = 0
    experts: int = 0
    experts_least: int = 0
    stacked: bool | None = None
    imatrix: bool | None = None
    architecture: str = ""
    architecture_not: str = ""


@dataclass(frozen=True)
class Override:
    """A type for all tensors whose name holds the pattern."""

    pattern: str
    type: str

    @functools.cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.ASCII)

    def matches(self, name: str) -> bool:
        """Whether a tensor's name holds the pattern."""
        return bool(self._compiled.search(name))


@dataclass(frozen=True)
class Recipe:
    """How a model is mixed.

    `type`: of most tensors; `head`: of the output, and of embeddings that are it; `raises`: whether attention is
    raised in models of 70B and of 8 experts; `imatrix`: no | better | required. `words`: by language. `quality`:
    measured on Llama-3-8B (bits a weight, Kullback-Leibler divergence `kld`, perplexity lost `ppl`, `top1` in
    percent; with an importance matrix `kld_imatrix`, `ppl_imatrix`). `file_type`: llama.cpp's number of the mix.
    """

    id: str
    order: int
    file_type: int
    type: str
    head: str
    imatrix: str
    words: dict[str, str]
    quality: dict[str, float]
    rules: tuple[Rule, ...]
    overrides: tuple[Override, ...] = ()
    raises: bool = True
    base: str = ""

    @property
    def plain(self) -> bool:
        """Whether this is a copy in 16 or 32 bits, without a mix."""
        return self.type in PLAIN


@functools.cache
def recipes() -> dict[str, Recipe]:
    """All of them by id, the standard ones first, in the order in which they are offered."""
    tables = [_table(path) for path in sorted(FOLDER.glob("*.toml"))]
    found = {table["id"]: _standard(table) for table in tables if "base" not in table}
    found |= {table["id"]: _own(table, found) for table in tables if "base" in table}
    return dict(sorted(found.items(), key=lambda item: item[1].order))


def recipe(name: str, overrides: Iterable[Sequence[str]] = ()) -> Recipe:
    """The recipe of this id or type name in any case, with overrides (pattern, type) put before its own.

    Raises UserError unknown_recipe, bad_override.
    """
    wanted = name.strip().upper()
    aliases = {"Q3_K": "Q3_K_M", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "MXFP4_MOE": "MXFP4", "FP16": "F16", "FP32": "F32"}
    by_name = {known.upper(): found for known, found in recipes().items()}
    found = by_name.get(aliases.get(wanted, wanted))
    if found is None:
        raise UserError(
            "unknown_recipe",
            f"There is no type or recipe called {name[:60]!r}.",
            f"Choose one of {', '.join(recipes())}.",
            name=name[:60],
            known=", ".join(recipes()),
        )
    return with_overrides(found, overrides)


def with_overrides(chosen: Recipe, overrides: Iterable[Sequence[str]]) -> Recipe:
    """A recipe with overrides put before its own. Raises UserError bad_override."""
    added = tuple(_override(item) for item in overrides)
    if not added:
        return chosen
    if chosen.plain:
        raise bad_override(
            added[0].pattern, note("copies_all", "{type} copies all tensors in one format", type=chosen.id)
        )
    if len(added) > MOST_OVERRIDES:
        raise bad_override(
            added[0].pattern, note("many_overrides", "there are more than {most} overrides", most=MOST_OVERRIDES)
        )
    return replace(chosen, overrides=added + chosen.overrides)


def bad_override(pattern: str, reason: str) -> UserError:
    """The error for an override that cannot be used."""
    return UserError(
        "bad_override",
        f"The override {pattern[:80]!r} cannot be used: {reason}.",
        "Write it as PATTERN=TYPE, for example attn_v=Q6_K.",
        pattern=pattern[:80],
        reason=spoken(reason),
    )


def _override(item: Sequence[str]) -> Override:
    if isinstance(item, str) or len(item) != 2 or not all(isinstance(part, str) for part in item):
        raise bad_override(str(item), note("no_pattern_and_type", "it is not a pattern and a type"))
    pattern, type = item[0], item[1].strip().upper()
    if type not in WRITABLE or (type in PLAIN and type == "F32"):
        raise bad_override(pattern, note("no_type", "{type} is no type of weights", type=repr(item[1][:20])))
    _check_pattern(pattern)
    return Override(pattern, type)


def _check_pattern(pattern: str) -> None:
    """Only what is matched in a bounded number of steps, and means the same to Python and to C++."""
    at, many = 0, 0
    while at < len(pattern):
        piece = _PIECE.match(pattern, at)
        if not piece or (
            pattern[at : at + 1] == ")" and pattern[piece.end() : piece.end() + 1] in ("*", "+", "?", "{")
        ):
            raise bad_override(
                pattern,
                note(
                    "pattern_place", "what stands at {place} is not understood here", place=repr(pattern[at : at + 12])
                ),
            )
        at, many = piece.end(), many + (bool(piece["times"]) or piece[0].startswith("("))
    if not pattern or len(pattern) > LONGEST_PATTERN or many > MOST_OPEN:
        raise bad_override(
            pattern,
            note(
                "pattern_size",
                "it is empty, over {long} characters, or repeats over {times} times",
                long=LONGEST_PATTERN,
                times=MOST_OPEN,
            ),
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise bad_override(pattern, str(error)) from None


def _table(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _standard(table: dict[str, Any]) -> Recipe:
    return Recipe(
        id=table["id"],
        order=table["order"],
        file_type=table["file_type"],
        type=table["type"],
        head=table.get("head", ""),
        imatrix=table["imatrix"],
        words=table["words"],
        quality={name: float(value) for name, value in table.get("quality", {}).items()},
        rules=tuple(_rule(entry) for entry in table.get("rule", ())),
        raises=table.get("raises", True),
    )


def _rule(entry: dict[str, Any]) -> Rule:
    return Rule(**{**entry, "parts": frozenset(entry["parts"])})


def _own(table: dict[str, Any], standard: dict[str, Recipe]) -> Recipe:
    overrides = [(entry["pattern"], entry["type"]) for entry in table["override"]]
    base = with_overrides(standard[table["base"]], overrides)
    own = {name: table[name] for name in ("id", "order", "imatrix", "words", "base")}
    return replace(base, **own, quality={})
