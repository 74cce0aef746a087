"""Subtitles: what is said, with the time it begins at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.pdf.line_joining import joined
from engine.documents.readers.plain_text import paragraphs
from engine.documents.text_file import text_of

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa", ".sbv", ".lrc")
TIMES = re.compile(r"((?:\d+:)?\d{1,2}:\d{2}[.,]?\d*)\s*(?:-->|,)\s*(?:\d+:)?\d{1,2}:\d{2}")
DIALOGUE = re.compile(r"Dialogue:\s*[^,]*,([^,]*),(?:[^,]*,){7}(.*)")
LYRIC = re.compile(r"((?:\[\d+:\d{2}(?:[.:]\d+)?\])+)(.*)")
TAG = re.compile(r"<[^>\n]{0,80}>|\{\\[^}\n]{0,200}\}")
PAUSE_S = 60
LONG = 400  # characters of speech in a block
ENDS = '.!?。！？…"”』」'


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Blocks "[0:01:02] words", a few sentences each. Raises UserError as `text_of` does."""
    begin, said = "", list[str]()
    for time, words in _cues(text_of(path, limits)):
        if said and (_is_enough(said) or _seconds(time) - _seconds(begin) > PAUSE_S):
            yield Block("text", f"[{begin}] {joined(said)}")
            said = []
        if words not in said[-1:]:
            begin = begin if said else time
            said.append(words)
    if said:
        yield Block("text", f"[{begin}] {joined(said)}")


def _is_enough(said: list[str]) -> bool:
    length = sum(map(len, said))
    return length > LONG or (length > LONG / 2 and said[-1][-1] in ENDS)


def _seconds(time: str) -> int:
    return sum(int(part) * 60**power for power, part in enumerate(reversed(time.split(":"))) if part.isdigit())


def _cues(text: str) -> Iterator[tuple[str, str]]:
    """(time, words) of all that is said."""
    for paragraph in paragraphs(text):
        time, words = "", list[str]()
        for line in paragraph.split("\n"):
            times, dialogue, lyric = TIMES.match(line.strip()), DIALOGUE.match(line), LYRIC.match(line)
            if times:
                yield from _cue(time, words[:-1] if words and words[-1].isdigit() else words)
                time, words = times.group(1), []
            elif dialogue:
                yield from _cue(dialogue.group(1), [dialogue.group(2).replace("\\N", "\n").replace("\\h", " ")])
            elif lyric:
                yield from _cue(lyric.group(1)[1:].split("]")[0], [lyric.group(2)])
            elif time:
                words.append(line)
        yield from _cue(time, words)


def _cue(time: str, words: list[str]) -> Iterator[tuple[str, str]]:
    lines = (TAG.sub("", line).strip() for part in words for line in part.split("\n"))
    text = joined(line for line in lines if line)
    if text:
        yield re.split(r"[.,]", time)[0], text
