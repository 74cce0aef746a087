"""Markdown as models write it: CommonMark, tables, strikethrough, formulas; emphasis beside Chinese punctuation."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

LONGEST_FORMULA = 1000
_MATH_BLOCK = re.compile(r"^(\$\$|\\\[)")
_CLOSERS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}


@cache
def grammar() -> MarkdownIt:
    """The one parser. Reference definitions are off: they could change text that is already on the screen."""
    from markdown_it import MarkdownIt

    md = MarkdownIt("commonmark", {"html": False, "maxNesting": 40})
    md.enable(["table", "strikethrough"])
    md.disable(["reference", "html_block", "html_inline"])
    md.inline.ruler.at("emphasis", _emphasis)
    md.inline.ruler.before("escape", "formula", _formula)
    md.block.ruler.before("fence", "formula_block", _formula_block, {"alt": ["paragraph", "blockquote", "list"]})
    return md


def _emphasis(state: StateInline, silent: bool) -> bool:
    """`*` and `_` runs, by flanking rules in which Chinese punctuation counts as a letter."""
    from markdown_it.rules_inline.state_inline import Delimiter

    marker = state.src[state.pos]
    if silent or marker not in "*_":
        return False
    end = state.pos
    while end < state.posMax and state.src[end] == marker:
        end += 1
    count = end - state.pos
    opens, closes = _flanks(state.src, state.pos, end, state.posMax, marker)
    for _ in range(count):
        state.push("text", "", 0).content = marker
        state.delimiters.append(Delimiter(ord(marker), count, len(state.tokens) - 1, -1, opens, closes))
    state.pos = end
    return True


def _flanks(src: str, start: int, end: int, stop: int, marker: str) -> tuple[bool, bool]:
    before = _class_of(src[start - 1]) if start else "space"
    after = _class_of(src[end]) if end < stop else "space"
    left = after != "space" and (after != "punct" or before != "letter")
    right = before != "space" and (before != "punct" or after != "letter")
    if marker == "*":
        return left, right
    return left and (not right or before != "letter"), right and (not left or after != "letter")


def _class_of(char: str) -> str:
    """space, punct, cjk or letter. Wide signs never hinder emphasis: Chinese has no spaces to help it."""
    if char.isspace():
        return "space"
    if unicodedata.east_asian_width(char) in "WF":
        return "cjk"
    return "punct" if unicodedata.category(char)[0] in "PS" else "letter"


def _formula(state: StateInline, silent: bool) -> bool:
    """`$…$`, `$$…$$`, `\\(…\\)` and `\\[…\\]` inside a line."""
    src, start = state.src, state.pos
    opener = _opener(src, start)
    if not opener:
        return False
    begin = start + len(opener)
    end = _formula_end(src, begin, min(state.posMax, begin + LONGEST_FORMULA), opener)
    if end < 0:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = src[begin:end]
        token.markup = opener
    state.pos = end + len(opener)
    return True


def _opener(src: str, pos: int) -> str:
    if src[pos] not in "$\\":
        return ""
    pair = src[pos : pos + 2]
    if pair in _CLOSERS:
        return pair
    return "$" if src[pos] == "$" else ""


def _formula_end(src: str, begin: int, stop: int, opener: str) -> int:
    """Where the closing mark begins, or -1. A single `$` follows pandoc's rule, so that prices stay text."""
    closer = _CLOSERS[opener]
    if opener == "$" and (begin >= stop or src[begin].isspace()):
        return -1
    at = src.find(closer, begin, stop)
    while at > 0 and src[at - 1] == "\\" and opener.startswith("$"):
        at = src.find(closer, at + 1, stop)
    if at < 0 or not src[begin:at].strip():
        return -1
    if opener == "$" and (src[at - 1].isspace() or src[at + 1 : at + 2].isdigit()):
        return -1
    return at


def _formula_block(state: StateBlock, line: int, last: int, silent: bool) -> bool:
    """A formula from a line beginning with `$$` or `\\[` to the one that ends it.

    Like a fence, the first line alone decides, so what stands above never changes with what comes below.
    """
    if state.is_code_block(line):
        return False
    head = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
    found = _MATH_BLOCK.match(head)
    if not found:
        return False
    closer = _CLOSERS[found.group()]
    at = head.find(closer, 2)
    if at >= 0 and head[at + 2 :].strip():
        return False
    if not silent:
        _take_formula(state, line, last, found.group(), closer)
    return True


def _take_formula(state: StateBlock, line: int, last: int, opener: str, closer: str) -> None:
    end, closed, size = line, False, 0
    while end < last and not closed and size <= LONGEST_FORMULA:
        if end > line and (state.isEmpty(end) or state.sCount[end] < state.blkIndent):
            break
        text = state.src[state.bMarks[end] + state.tShift[end] : state.eMarks[end]]
        closed = closer in (text[2:] if end == line else text)
        size += len(text)
        end += 1
    source = state.getLines(line, end, state.sCount[line], False).strip()
    at = source.find(closer, 2)
    body = source[2:at].strip() if closed and not source[at + 2 :].strip() else ""
    if body:
        _push(state, "formula_block", body, opener, (line, end))
    else:
        state.push("paragraph_open", "p", 1).map = [line, end]
        _push(state, "inline", source, "", (line, end)).children = []
        state.push("paragraph_close", "p", -1)
    state.line = end


def _push(state: StateBlock, kind: str, content: str, markup: str, lines: tuple[int, int]) -> Token:
    token = state.push(kind, "", 0)
    token.content = content
    token.markup = markup
    token.map = list(lines)
    return token
