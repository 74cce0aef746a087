"""A folder's tokenizer files, read by us as data; the tokenizers library sees tokenizer.json only after that."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from convert.note import note, spoken
from engine.api.errors import UserError

TOKENIZER = "tokenizer.json"
LARGEST = 256 * 2**20
LARGEST_VOCABULARY = 4_000_000
_PANICS = "pyo3_runtime"  # where tokenizers' code gives up on a file


class Settings(Protocol):
    """What is asked of config.json; see convert.config.Config."""

    def get(self, *names: str, default: Any = None) -> Any:
        """The first of these values that is there."""


class Missing(Exception):
    """This kind of vocabulary is not what the folder holds; the next kind is tried."""


class Source:
    """The tokenizer of one checkpoint. Everything is read when it is first asked for."""

    def __init__(self, folder: Path, config: Settings) -> None:
        self.folder, self.config = folder, config

    @cached_property
    def fast(self) -> dict[str, Any]:
        """tokenizer.json, or what older files say; {} if there is neither. Raises UserError bad_tokenizer."""
        from convert.vocabulary.two_files import made

        return self.json(TOKENIZER) or made(self)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """tokenizer_config.json, {} if there is none. Raises UserError bad_tokenizer."""
        return self.json("tokenizer_config.json")

    @cached_property
    def tokenizer(self) -> Any:
        """tokenizer.json as the tokenizers library runs it. Raises UserError bad_tokenizer."""
        from tokenizers import Tokenizer

        with self.blaming(TOKENIZER):
            if (self.folder / TOKENIZER).is_file():
                made = Tokenizer.from_file(str(self.folder / TOKENIZER))
            else:
                made = Tokenizer.from_str(json.dumps(self.fast))
            made.no_truncation()
            made.no_padding()
            return made

    @property
    def model(self) -> dict[str, Any]:
        """The model's part of tokenizer.json."""
        return part(self.fast, "model")

    @property
    def rows(self) -> int:
        """How many tokens config.json says there are, 0 if it does not.

        Raises UserError bad_tokenizer for an impossible number.
        """
        rows = self.config.get("vocab_size", "padded_vocab_size", default=0)
        if isinstance(rows, bool) or not isinstance(rows, int) or not 0 <= rows <= LARGEST_VOCABULARY:
            raise bad("config.json", note("no_vocab_size", "a vocab_size of {rows} cannot be", rows=repr(rows)))
        return rows

    def json(self, name: str) -> dict[str, Any]:
        """One file's object, {} if there is no such file. Raises UserError bad_tokenizer."""
        path = self.folder / name
        if not path.is_file():
            return {}
        try:
            self.check_size(name)
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise bad(name, str(error)) from None
        if not isinstance(values, dict):
            raise bad(name, note("no_object", "it holds no object"))
        return values

    def check_size(self, name: str) -> None:
        """Raises UserError bad_tokenizer for a file larger than any tokenizer's, Missing if there is none."""
        path = self.folder / name
        if not path.is_file():
            raise Missing(name)
        if path.stat().st_size > LARGEST:
            raise bad(name, note("tokenizer_too_large", "it is larger than any tokenizer"))

    def blaming(self, name: str) -> Blaming:
        """For calls into a library that raise over a file that is no good."""
        return Blaming(name)


class Blaming:
    """`with Blaming(name)`: what tokenizers and sentencepiece raise becomes UserError bad_tokenizer.

    There is no class to name in an `except`: tokenizers raises Exception itself, and a BaseException of its own where
    its code gives up on a file; sentencepiece raises RuntimeError. Whatever is not theirs goes on.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Nothing is done before."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None and (kind in (Exception, RuntimeError) or kind.__module__ == _PANICS):
            raise bad(self._name, " ".join(str(error).split())[:200]) from error


def part(values: dict[str, Any], name: str) -> dict[str, Any]:
    """An object inside an object, {} if it is not there or something else."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def objects(values: Any) -> list[dict[str, Any]]:
    """The objects of a list; whatever else is in it is left out."""
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


def content(token: Any) -> str | None:
    """The text of a special token, which is written as a string or as an object with its text."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None


def bad(name: str, reason: str) -> UserError:
    """A tokenizer's file that cannot be used."""
    return UserError(
        "bad_tokenizer",
        f"{name} of this model cannot be used: {reason}.",
        "Download the model's tokenizer files again.",
        name=name,
        reason=spoken(reason),
    )
