"""Which of llama.cpp's ways to cut a text a tokenizer.json means: by its structure, then by its ids of one text."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from importlib import resources
from typing import Any

from convert.note import note
from convert.vocabulary.source import Source, objects, part
from engine.api.errors import UserError

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
EITHER_CASE = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
PUNCTUATION = r"[\p{P}\$\+<=>\^~\|`]+"
_PLAIN = {"\r": r"\r", "\n": r"\n", "\t": r"\t"}


@dataclass(frozen=True)
class Way:
    """`split`: regular expressions as llama.cpp runs them; `names`: what stands for them in a file."""

    names: tuple[str, ...]
    split: tuple[str, ...]
    spellings: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Table:
    """The data of pretokenizers.toml."""

    ways: tuple[Way, ...]
    flags: dict[str, tuple[str, ...]]
    hashes: dict[str, str]
    text: str

    def way(self, name: str) -> Way | None:
        """The way a name stands for, None for a name that llama.cpp does not know."""
        return next((way for way in self.ways if name in way.names), None)

    def has(self, name: str, flag: str) -> bool:
        """Whether a name switches this on: ignore_merges, add_bos, add_sep or keep_spaces."""
        return flag in self.flags.get(name, ())


@cache
def table() -> Table:
    """Read once."""
    raw = resources.files("convert.vocabulary").joinpath("pretokenizers.toml").read_text(encoding="utf-8")
    data = tomllib.loads(raw)
    ways = tuple(_way(each) for each in data["way"])
    flags = {name: tuple(each) for name, each in data["flags"].items()}
    return Table(ways, flags, data["hashes"], data["text"])


def _way(values: dict[str, Any]) -> Way:
    spelled = [values["split"], *values.get("also", [])]
    return Way(tuple(values["names"]), tuple(values["split"]), tuple(canonical(each) for each in spelled))


def recognize(source: Source, chosen: str = "") -> tuple[str, tuple[str, ...]]:
    """The name for tokenizer.ggml.pre, and what a person should know of how it was found.

    `chosen` overrides what is found. Raises UserError unknown_pretokenizer, naming the nearest.
    """
    if chosen:
        if table().way(chosen) is None:
            raise _unknown(chosen, _nearest((chosen,), [way.names for way in table().ways]))
        return chosen, (note("pre_chosen", "the pre-tokenizer {name} was chosen, not recognized", name=chosen),)
    structure = tuple(steps(source.fast))
    named = by_hash(source)
    ways = [way for way in table().ways if structure in way.spellings]
    if ways:
        return _of(ways[0], named, source), ()
    if named and table().way(named):
        return named, (
            note(
                "pre_by_hash",
                "the pre-tokenizer {name} was recognized by what it does, its structure is not known",
                name=named,
            ),
        )
    raise _unknown(_shown(source.fast), _nearest(structure, [way.spellings[0] for way in table().ways]))


def _of(way: Way, named: str, source: Source) -> str:
    """One of a way's names: the one its ids have, unless llama.cpp would then merge where the tokenizer does not."""
    ignores = source.model.get("ignore_merges") is True
    fitting = [name for name in way.names if table().has(name, "ignore_merges") is ignores]
    if named in way.names and (named in fitting or not fitting):
        return named
    return (fitting or list(way.names))[0]


def by_hash(source: Source) -> str:
    """The name of a published tokenizer that makes the same ids of one text, "" if none is known.

    Whether a file adds tokens around a text says nothing of how it cuts; both are tried.
    """
    with source.blaming("tokenizer.json"):
        around = source.tokenizer.encode(table().text).ids
        plain = source.tokenizer.encode(table().text, add_special_tokens=False).ids
    hashes = (hashlib.sha256(str(ids).encode()).hexdigest() for ids in (around, plain))
    return next((table().hashes[each] for each in hashes if each in table().hashes), "")


def steps(tokenizer: dict[str, Any]) -> Iterator[str]:
    """A tokenizer.json's way to cut, canonically: regular expressions that cut one after another."""
    for step in _flat(part(tokenizer, "pre_tokenizer")):
        kind = step.get("type")
        if kind == "Split":
            yield _pattern(step)
        elif kind == "ByteLevel" and step.get("use_regex", True):
            yield GPT2
        elif kind == "Digits":
            yield r"\p{N}" if step.get("individual_digits") else r"\p{N}+"
        elif kind == "Punctuation" and step.get("behavior") == "Contiguous":
            yield PUNCTUATION
        elif kind != "ByteLevel":
            yield f"<{kind}>"


def _flat(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if step.get("type") != "Sequence":
        yield from [step] if step else []
        return
    for each in objects(step.get("pretokenizers")):
        yield from _flat(each)


def _pattern(step: dict[str, Any]) -> str:
    pattern = part(step, "pattern")
    regex = pattern.get("Regex")
    if not isinstance(regex, str):
        return f"<Split {pattern.get('String')!r} {step.get('behavior')}>"
    # "Removed" and inverted keeps the matches: the same as cutting at them where they leave nothing out.
    usual = step.get("behavior") == "Isolated" or (step.get("behavior") == "Removed" and step.get("invert"))
    return canonical([regex])[0] if usual else f"<Split {step.get('behavior')} {regex}>"


def canonical(regexes: list[str]) -> tuple[str, ...]:
    """Spellings that mean the same made one."""
    return tuple(_canonical(regex) for regex in regexes)


def _canonical(regex: str) -> str:
    """Either case spelled out, control characters as escapes, and the last alternative that only takes what is left."""
    plain = "".join(_PLAIN.get(letter, letter) for letter in regex).replace(
        "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    )
    return plain.removesuffix(r"|\s+") if plain.endswith(r"\s+(?!\S)|\s+") else plain


def _shown(tokenizer: dict[str, Any]) -> str:
    return " · ".join(steps(tokenizer))[:200] or "none"


def _nearest(wanted: tuple[str, ...], known: list[tuple[str, ...]]) -> str:
    text = " ".join(wanted)
    scores = [SequenceMatcher(None, text, " ".join(each), autojunk=False).ratio() for each in known]
    return table().ways[scores.index(max(scores))].names[0]


def _unknown(found: str, nearest: str) -> UserError:
    return UserError(
        "unknown_pretokenizer",
        f"llama.cpp has no way to cut texts as this tokenizer does ({found}); {nearest} is the nearest.",
        "Allow a vocabulary that differs, and look at how much it does.",
        found=found,
        nearest=nearest,
    )
