"""A document cut into chunks: along its headings, in whole sentences, tables between their rows, code between blocks.

A chunk's text is what stands between its `start` and `end` in the document, less the page headers and footers that
repeat; the later parts of a long table begin with its header row again.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from engine.documents.block import BETWEEN, Block, Box, Document
from engine.documents.prepare import CJK_RUN
from engine.documents.sentences import sentences

Count = Callable[[str], int]
PATH = " > "
_RUNNING = ("header", "footer")  # what pages repeat
HEADING_SHARE = 4  # the heading path takes at most a quarter of the budget
ROW_MOST = 8  # a table's row may take so many budgets before it is cut like text


@dataclass(frozen=True)
class Chunk:
    """What is found and cited: `start` and `end` are characters of Document.text, `heading` the path of headings."""

    number: int
    heading: str
    text: str
    page: int
    start: int
    end: int
    boxes: tuple[Box, ...]
    tokens: int
    language: str

    @property
    def indexed(self) -> str:
        """What both indexes are made of."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


@dataclass(frozen=True)
class _Piece:
    """Part of a block that is not cut any further. `before`: the header row a part of a table is given."""

    block: Block
    start: int
    end: int
    tokens: int
    before: str = ""

    @property
    def text(self) -> str:
        return self.before + self.block.text[self.start - self.block.start : self.end - self.block.start]


def chunks_of(document: Document, budget: int, count: Count) -> list[Chunk]:
    """The chunks in reading order, numbered from 0, each of at most `budget` tokens with its heading.

    `count(text)` gives tokens. A single word, or a row of a table, longer than the budget stays whole.
    """
    made: list[Chunk] = []
    for path, blocks in _sections(document.blocks):
        heading, room = _heading(path, budget, count)
        pieces = [piece for block in blocks for piece in _pieces(block, room, count)]
        made += (_chunk(heading, group) for group in _groups(pieces, room))
    return [replace(chunk, number=number) for number, chunk in enumerate(made)]


def _sections(blocks: tuple[Block, ...]) -> Iterator[tuple[list[str], list[Block]]]:
    """Blocks under one heading with the path to it. A heading with nothing under it is a block of its own."""
    path: list[tuple[int, Block]] = []
    under: list[Block] = []
    told = False  # whether the last heading is in the path of something
    for block in _once(blocks):
        if block.kind != "heading":
            under.append(block)
            told = True
            continue
        if under:
            yield _words(path), under
            under = []
        level = max(1, block.level)
        if path and not told and path[-1][0] >= level:
            yield _words(path[:-1]), [path[-1][1]]
        path = [(above, one) for above, one in path if above < level] + [(level, block)]
        told = False
    if under:
        yield _words(path), under
    elif path and not told:
        yield _words(path[:-1]), [path[-1][1]]


def _words(path: list[tuple[int, Block]]) -> list[str]:
    return [" ".join(block.text.split()) for _, block in path]


def _once(blocks: tuple[Block, ...]) -> Iterator[Block]:
    """Without the page headers and footers that were there before, page numbers aside."""
    seen: set[str] = set()
    for block in blocks:
        if block.kind in _RUNNING:
            same = "".join(c for c in block.text if not c.isdigit())
            if same in seen:
                continue
            seen.add(same)
        yield block


def _heading(path: list[str], budget: int, count: Count) -> tuple[str, int]:
    """The path joined, its outermost parts left out where it is too long, and the tokens left for text."""
    most = budget // HEADING_SHARE
    for first in range(len(path)):
        joined = PATH.join(path[first:])
        if len(joined) <= most * 8 and (tokens := count(joined)) <= most:
            return joined, budget - tokens
    if not path:
        return "", budget
    cut = path[-1][: most * 2]
    return cut, max(budget - count(cut), budget // 2)


def _pieces(block: Block, room: int, count: Count) -> list[_Piece]:
    if len(block.text) <= room * 16 and (tokens := count(block.text)) <= room:
        return [_Piece(block, block.start, block.end, tokens)]
    if block.kind == "table":
        return _table(block, room, count)
    if block.kind == "code":
        return _joined(_code(block, room, count), room)
    return _joined(_prose(block, block.start, block.end, room, count), room)


def _prose(block: Block, start: int, end: int, room: int, count: Count) -> list[_Piece]:
    """Sentences of a part of a block; those that are too long are cut at commas, then spaces, then anywhere."""
    starts = [start + a for a, _ in sentences(block.text[start - block.start : end - block.start])[1:]]
    spans = itertools.pairwise([start, *starts, end])
    return [piece for a, b in spans for piece in _fitting(block, a, b, room, count)]


def _fitting(block: Block, start: int, end: int, room: int, count: Count) -> list[_Piece]:
    """A stretch of text in pieces that fit, cut at the last good place before the budget."""
    pieces: list[_Piece] = []
    while start < end:
        text = block.text[start - block.start : end - block.start]
        length, tokens = _longest(text, room, count)
        if length < len(text):
            length = _good_cut(text, length)
            tokens = count(text[:length])
        pieces.append(_Piece(block, start, start + length, tokens))
        start += length
    return pieces


def _longest(text: str, room: int, count: Count) -> tuple[int, int]:
    """The most characters at the beginning of `text` whose tokens fit, at least one, and their tokens."""
    whole = text[: room * 16]
    tokens = count(whole)
    if tokens <= room:
        return len(whole), tokens
    low, high, at_low = 1, len(whole), 1
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        tokens = count(whole[:middle])
        if tokens <= room:
            low, at_low = middle, tokens
        else:
            high = middle
    return low, at_low


def _good_cut(text: str, length: int) -> int:
    for marks in ("，,;:、：\n", " \t"):
        at = max(text.rfind(mark, length // 2, length) for mark in marks)
        if at > 0:
            return at + 1
    return length


def _table(block: Block, room: int, count: Count) -> list[_Piece]:
    """Rows together as far as they fit, never cut, each group under the table's header."""
    lines = block.text.splitlines(keepends=True)
    head = 2 if len(lines) > 2 and set(lines[1].strip()) <= set("|-: ") else 1
    header = "".join(lines[:head])
    cost = count(header)
    if cost > room // 2:  # a header that leaves no place for rows is told once
        header, cost = "", 0
    pieces: list[_Piece] = []
    start = at = block.start
    tokens = 0
    for number, line in enumerate(lines):
        one = count(line[: room * 16])
        if tokens + one > room - (cost if pieces else 0) and at > start and number > head:
            pieces.append(_Piece(block, start, at, tokens, header if pieces else ""))
            start, tokens = at, 0
        tokens += one
        at += len(line)
    pieces.append(_Piece(block, start, at, tokens, header if pieces else ""))
    return [part for piece in pieces for part in _giant(piece, room, count)]


def _giant(piece: _Piece, room: int, count: Count) -> list[_Piece]:
    """A row as long as a book is no row that anyone reads whole."""
    if piece.end - piece.start <= room * ROW_MOST:
        tokens = count(piece.text)
        if tokens <= room * ROW_MOST:
            return [replace(piece, tokens=tokens)]
    return _joined(_fitting(piece.block, piece.start, piece.end, room, count), room)


def _code(block: Block, room: int, count: Count) -> list[_Piece]:
    """Code between empty lines before lines that are not indented, else between lines."""
    pieces: list[_Piece] = []
    for start, end in _code_spans(block):
        text = block.text[start - block.start : end - block.start]
        if len(text) <= room * 16 and (tokens := count(text)) <= room:
            pieces.append(_Piece(block, start, end, tokens))
            continue
        lines: list[_Piece] = []
        at = start
        for line in text.splitlines(keepends=True):
            lines += _fitting(block, at, at + len(line), room, count)
            at += len(line)
        pieces += _joined(lines, room)
    return pieces


def _code_spans(block: Block) -> list[tuple[int, int]]:
    cuts, at, empty = [block.start], block.start, False
    for line in block.text.splitlines(keepends=True):
        if empty and line.strip() and not line[0].isspace() and line[0] not in "})]":
            cuts.append(at)
        empty = not line.strip()
        at += len(line)
    return list(zip(cuts, [*cuts[1:], block.end], strict=True))


def _joined(pieces: list[_Piece], room: int) -> list[_Piece]:
    """Neighbours of one block as few pieces of about the same size, so that none is left small at the end."""
    total = sum(piece.tokens for piece in pieces)
    aim = total / max(1, math.ceil(total / room))
    joined: list[_Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and last.tokens < aim and last.tokens + piece.tokens <= room:
            joined[-1] = replace(last, end=piece.end, tokens=last.tokens + piece.tokens)
        else:
            joined.append(piece)
    return joined


def _groups(pieces: list[_Piece], room: int) -> Iterator[list[_Piece]]:
    """Neighbours under one heading together as far as they fit; a new page begins one if the last is half full."""
    group: list[_Piece] = []
    tokens = 0
    for piece in pieces:
        turned = bool(group) and piece.block.page != group[-1].block.page and tokens * 2 >= room
        if group and (tokens + piece.tokens > room or turned or piece.before or group[-1].before):
            yield group
            group, tokens = [], 0
        group.append(piece)
        tokens += piece.tokens
    if group:
        yield group


def _chunk(heading: str, group: list[_Piece]) -> Chunk:
    text = group[0].text
    for before, piece in itertools.pairwise(group):
        text += ("" if piece.block is before.block else BETWEEN) + piece.text
    boxes = tuple(box for piece in group for box in _boxes(piece))
    page = next((box.page for box in boxes), group[0].block.page)
    tokens = sum(piece.tokens for piece in group)
    return Chunk(0, heading, text.rstrip(), page, *_trimmed(group), boxes, tokens, language_of(text))


def _trimmed(group: list[_Piece]) -> tuple[int, int]:
    last = group[-1]
    tail = last.text
    return group[0].start, last.end - (len(tail) - len(tail.rstrip()))


def _boxes(piece: _Piece) -> tuple[Box, ...]:
    """The lines of a block that a part of it stands on, as far as its share of the characters tells."""
    block = piece.block
    boxes, length = block.boxes, max(1, block.end - block.start)
    first = math.floor((piece.start - block.start) / length * len(boxes))
    last = math.ceil((piece.end - block.start) / length * len(boxes))
    return boxes[first:last]


def language_of(text: str) -> str:
    """zh, ja or ko by their letters, else en: which of them a text is mostly written in."""
    sample = text[:4000]
    cjk = "".join(CJK_RUN.findall(sample))
    if len(cjk) * 3 < sum(c.isalpha() for c in sample):
        return "en"
    if sum("\uac00" <= c <= "\ud7a3" for c in cjk) * 2 > len(cjk):
        return "ko"
    if sum("\u3041" <= c <= "\u30ff" for c in cjk) * 8 > len(cjk):
        return "ja"
    return "zh" if cjk else "en"


def about_tokens(text: str) -> int:
    """Tokens where no embedder is there to count them: a CJK character is one, other text four characters each."""
    cjk = sum(len(run) for run in CJK_RUN.findall(text))
    return cjk + (len(text) - cjk + 3) // 4
