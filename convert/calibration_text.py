"""The texts that models are measured with: built in, a file, or what a collection's documents say.

The built-in text comes in two halves. One calibrates (importance matrices), the other compares: who measures on the
text that was calibrated with measures memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.note import note, spoken
from engine.api.errors import UserError

FOLDER = Path(__file__).parent / "calibration"
LANGUAGES = ("zh", "en", "code")
BUILTIN, EDITION = "builtin", "deskside-builtin-1"
MOST_BYTES = 64 * 1024 * 1024
LEAST_CONTEXT, MOST_CONTEXT = 64, 16_384
BYTES_A_TOKEN = 16  # more than any vocabulary needs on average
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_LETTER = re.compile(r"[^\W\d_]")
_CODE = re.compile(r"[{}();=<>\[\]_]|^\s{2,}\S|\b(def|class|return|import|const|function|void|self)\b", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A text; `language` "zh", "en", "code", or "" where each chunk is asked."""

    language: str
    text: str


@dataclass(frozen=True)
class Chunk:
    """So many tokens of one language as the context has: "zh", "en", "code" or "other"."""

    tokens: list[int]
    language: str


def parts(source: str | dict[str, Any], purpose: str, most_tokens: int = 0) -> tuple[Part, ...]:
    """The text of a job's parameter `text`: "builtin", a path, or {"collection", "file"} with a file of its texts.

    `purpose`: "calibrate" or "measure". `most_tokens` (0 = all) spares reading what is not needed.
    Raises UserError unreadable_text.
    """
    if source == BUILTIN:
        return tuple(Part(name, _shipped(f"{purpose}_{name}")) for name in LANGUAGES)
    path = Path(str(source["file"] if isinstance(source, dict) else source))
    return (Part("", _read(path, min(MOST_BYTES, most_tokens * BYTES_A_TOKEN or MOST_BYTES))),)


def context_of(params: dict[str, Any]) -> int:
    """Tokens a chunk, as a job's parameters say it, within reason; 512 where they do not."""
    return min(max(int(params.get("context") or 512), LEAST_CONTEXT), MOST_CONTEXT)


def name_of(source: str | dict[str, Any]) -> str:
    """What a report calls the text; of a file its name only."""
    if source == BUILTIN:
        return EDITION
    return f"collection {source['collection']}" if isinstance(source, dict) else Path(source).name


def chunks(
    texts: tuple[Part, ...],
    tokenize: Callable[[str], list[int]],
    text_of: Callable[[list[int]], str],
    context: int,
    most: int = 0,
) -> list[Chunk]:
    """Whole chunks of `context` tokens, the languages taking turns, at most `most` (0 = all).

    Raises UserError short_text where there is not one.
    """
    cut = [list(_cut(part, tokenize(part.text), text_of, context)) for part in texts]
    found = [chunk for turn in _turns(cut) for chunk in turn][: most or None]
    if not found:
        raise UserError(
            "short_text",
            f"The text is shorter than {context} tokens.",
            "Give a longer text, or choose shorter chunks.",
            context=context,
        )
    return found


def language_of(text: str) -> str:
    """Roughly: Chinese by its characters, code by its signs, English by its letters."""
    letters, signs = len(_LETTER.findall(text)), len(_CODE.findall(text))
    if len(_HAN.findall(text)) > 0.3 * max(1, letters):
        return "zh"
    if signs > 0.04 * len(text):
        return "code"
    plain = sum(character.isascii() for character in text)
    return "en" if plain > 0.95 * len(text) and letters else "other"


def _cut(part: Part, tokens: list[int], text_of: Callable[[list[int]], str], context: int) -> Iterator[Chunk]:
    for start in range(0, len(tokens) - context + 1, context):
        piece = tokens[start : start + context]
        yield Chunk(piece, part.language or language_of(text_of(piece)))


def _turns(cut: list[list[Chunk]]) -> Iterator[list[Chunk]]:
    """First chunks, then second ones …: a beginning of it has as much of each as it can."""
    for number in range(max(map(len, cut), default=0)):
        yield [chunks[number] for chunks in cut if number < len(chunks)]


def _shipped(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


def _read(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(most)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    if b"\0" in data:
        raise _unreadable(path, note("no_plain_text", "it is no plain text"))
    text = data.decode("utf-8-sig", "replace")
    if text.count("\ufffd") > 1 + len(text) // 100:
        raise _unreadable(path, note("no_utf8", "it is not written in UTF-8"))
    return _texts_of_lines(text) if path.suffix == ".jsonl" else text


def _texts_of_lines(text: str) -> str:
    """One JSON text, or object with a "text", a line; the last line may be cut off."""
    found = []
    for line in text.splitlines():
        try:
            item = json.loads(line)
        except ValueError:
            continue
        said = item.get("text") if isinstance(item, dict) else item
        if isinstance(said, str):
            found.append(said)
    return "\n\n".join(found)


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        "unreadable_text",
        f"{path.name} cannot be used as a text: {reason}.",
        "Choose a plain text file.",
        name=path.name,
        reason=spoken(reason),
    )
