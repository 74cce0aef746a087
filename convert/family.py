"""What a model family is: its metadata, its tensors' names, and what is done to them on the way to GGUF and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, wraps
from typing import Any

from convert.config import Config
from convert.operations import SAME, Operation
from engine.api.errors import UserError

Entries = dict[str, tuple[str, Any]]
_PLACES = {"i": r"(?P<i>\d+)", "e": r"(?P<e>\d+)", "end": r"(?P<end>weight|bias)"}


def in_words(ask: Callable[..., Any], key: str) -> Callable[..., Any]:
    """`ask`, whatever config.json holds in its places: what does not compute is UserError config_lacks of `key`."""

    @wraps(ask)
    def asked(*given: Any) -> Any:
        try:
            return ask(*given)
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError) as error:
            raise UserError(
                "config_lacks",
                f"config.json has no usable {key}.",
                "Take the file from the model's own page.",
                key=key,
            ) from error

    return asked


@dataclass(frozen=True)
class Key:
    """One entry of a GGUF header, and where it comes from.

    `name` gets the architecture in front ("block_count" -> "llama.block_count"), unless it begins with "general." or
    "tokenizer.". Its value is the first of `sources` (keys of config.json, dots go inside) that is there, else
    `value(config)`, else `default`; None leaves it out. `kind`: see Entries.
    """

    name: str
    sources: tuple[str, ...] = ()
    kind: str = "u32"
    default: Any = None
    value: Callable[[Config], Any] | None = None

    def of(self, config: Config) -> Any:
        """Its value, None if it is left out."""
        found = config.get(*self.sources) if self.sources else None
        if found is None and self.value:
            found = in_words(self.value, self.name)(config)
        return self.default if found is None else found


@dataclass(frozen=True)
class Rule:
    """Tensors of a checkpoint -> tensors of a GGUF file.

    Names hold {i} (layer), {e} (expert, all of them go into the one operation, in order) and {end} (weight or bias).
    A source that begins with "^" is a whole name, others follow one of the family's prefixes.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    operation: Operation = SAME


def rule(sources: str | tuple[str, ...], targets: str | tuple[str, ...], operation: Operation = SAME) -> Rule:
    """A rule; one name may stand without its brackets."""
    one, other = ((names,) if isinstance(names, str) else names for names in (sources, targets))
    return Rule(one, other, operation)


@dataclass(frozen=True)
class Extra:
    """A tensor that no tensor of the checkpoint becomes: `values(config)` gives float32, None if it is not wanted."""

    name: str
    values: Callable[[Config], Any]


@dataclass(frozen=True)
class Family:
    """One family. `prefixes`: what may stand before its tensors' names, the usual one first; `drop`: patterns
    (regular expressions over the whole name) of tensors that GGUF has no use for; `vocabulary`: kinds tried in order;
    `types`: (pattern over the GGUF name, type) of tensors that are never of the wished type; `accepts`: whether a
    config of these architectures is really this family's; `layers`: blocks written, the config's own as a rule;
    `adjust`: a config completed before anything is read from it; `entries`: last word over the metadata; `place`: a
    tensor's name as the rules know it ("" leaves it out), for names that depend on the config.
    """

    architectures: tuple[str, ...]
    arch: str
    rules: tuple[Rule, ...]
    keys: tuple[Key, ...] = ()
    vocabulary: tuple[str, ...] = ("bpe",)
    prefixes: tuple[str, ...] = ("model.", "")
    drop: tuple[str, ...] = ()
    extras: tuple[Extra, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    accepts: Callable[[Config], bool] = lambda config: True
    adjust: Callable[[Config], Config] = lambda config: config
    entries: Callable[[Config, Entries], Entries] = lambda config, entries: entries
    place: Callable[[Config, str], str] = lambda config, name: name
    name: str = ""
    licence: str = field(default="")

    def __post_init__(self) -> None:
        for asked in ("accepts", "adjust", "entries", "place"):
            object.__setattr__(self, asked, in_words(getattr(self, asked), f"values of {self.arch}"))
        extras = tuple(Extra(each.name, in_words(each.values, each.name)) for each in self.extras)
        object.__setattr__(self, "extras", extras)

    def places(self, name: str) -> tuple[Rule, int, dict[str, str]] | None:
        """The rule that takes a checkpoint's tensor, which of its sources it is, and what stands at {i}, {e}, {end}."""
        for each in self.rules:
            for number, source in enumerate(each.sources):
                for prefix in ("",) if source.startswith("^") else self.prefixes:
                    found = pattern(prefix + source.removeprefix("^")).fullmatch(name)
                    if found:
                        return each, number, found.groupdict()
        return None

    def drops(self, name: str) -> bool:
        """Whether a checkpoint's tensor is left out."""
        return any(re.fullmatch(each, name) for each in (*self.drop, *ALWAYS_DROPPED))


ALWAYS_DROPPED = (r".*\.attention\.masked_bias", r".*\.attention\.bias", r".*\.rotary_emb\.inv_freq")


@cache
def pattern(name: str) -> re.Pattern[str]:
    """A name with places as a regular expression."""
    parts = re.split(r"\{(\w+)\}", name)
    return re.compile("".join(_PLACES[part] if odd % 2 else re.escape(part) for odd, part in enumerate(parts)))


def filled(name: str, places: dict[str, str]) -> str:
    """A name with what stands at its places."""
    return re.sub(r"\{(\w+)\}", lambda found: places[found[1]], name.removeprefix("^"))


def fixed_in_llama(key: str) -> UserError:
    """The error of a config that says other than what llama.cpp takes for granted: it would run, and wrongly."""
    return UserError(
        "fixed_in_llama",
        f"config.json's {key} is not what llama.cpp takes for granted for this family: the model would answer wrongly.",
        "Run this variant elsewhere.",
        key=key,
    )
