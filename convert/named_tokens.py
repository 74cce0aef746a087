"""What a family says of its special tokens beyond its tokenizer's files."""

from __future__ import annotations

from convert.config import Config
from convert.family import Entries

_SPELLED = {"unk": "unknown"}


def named(entries: Entries, replace: bool = False, **wanted: str) -> Entries:
    """`entries` with the ids of tokens by their text: named(entries, eot="<|user|>").

    What the files already say stays, unless `replace`; a token that the vocabulary lacks is passed over.
    """
    tokens: list[str] = entries.get("tokenizer.ggml.tokens", ("", []))[1]
    found = dict(entries)
    for name, text in wanted.items():
        key = f"tokenizer.ggml.{_SPELLED.get(name, name)}_token_id"
        if text in tokens and (replace or key not in found):
            found[key] = ("u32", tokens.index(text))
    return found


def prefix_space(config: Config, entries: Entries) -> Entries:
    """`entries` with what tokenizer_config.json says of a space before a text."""
    said = config.beside("tokenizer_config.json")
    flag = said.get("add_prefix_space") if isinstance(said, dict) else None
    return entries | {"tokenizer.ggml.add_space_prefix": ("bool", flag)} if isinstance(flag, bool) else entries
