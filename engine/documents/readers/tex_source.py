"""LaTeX sources: sections, text, lists, tables and formulas, without the commands around them."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from engine.documents.block import Block, Limits
from engine.documents.pdf.line_joining import joined
from engine.documents.readers.plain_text import paragraphs
from engine.documents.tables import markdown
from engine.documents.text_file import text_of

SUFFIXES = (".tex", ".ltx", ".latex")
COMMENT = re.compile(r"(?<!\\)%[^\n]*\n?")
BODY = re.compile(r"\\begin\{document\}(.*?)(?:\\end\{document\}|\Z)", re.S)
TITLE = re.compile(r"\\title\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
SECTION = re.compile(
    r"\\(part|chapter|section|subsection|subsubsection|paragraph)\*?(?:\[[^\]]*\])?\{((?:[^{}]|\{[^{}]*\})*)\}"
)
LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}
TABULAR = re.compile(
    r"\\begin\{(tabular\*?|tabularx|longtable)\}(?:\[[^\]]*\])?(?:\{[^{}]*\}){0,2}(.*?)\\end\{\1\}", re.S
)
VERBATIM = re.compile(r"\\begin\{(verbatim|lstlisting|minted)\}(.*?)\\end\{\1\}", re.S)
PIECE = re.compile(
    f"(?P<section>{SECTION.pattern})|(?P<verbatim>\\\\begin\\{{(?:verbatim|lstlisting|minted)\\}})|(?P<table>\\\\begin\\{{(?:tabular|longtable))"
)
ARGUMENT = re.compile(
    r"\\(?:label|ref|eqref|pageref|vspace|hspace|includegraphics|bibliographystyle|bibliography|usepackage|documentclass|input|include|setlength|newcommand|renewcommand)\*?(?:\[[^\]]*\])?(?:\{[^{}]*\}){1,2}"
)
CITE = re.compile(r"\\cite\w*(?:\[[^\]]*\])*\{([^{}]*)\}")
AROUND = re.compile(r"\\(?:begin|end)\{[^{}]*\}(?:\[[^\]]*\])?")
THIN = re.compile(r"~|\\[,;:> ]")
COMMAND = re.compile(r"\\(?:[a-zA-Z]+\*?|!)\s?")
ESCAPED = re.compile(r"\\([%&$#_{}])")


def read(path: Path, limits: Limits) -> Generator[Block, None, dict[str, Any]]:
    """Blocks in order. Raises UserError as `text_of` does."""
    source = COMMENT.sub("", text_of(path, limits))
    title = TITLE.search(source)
    body = BODY.search(source)
    yield from _blocks(body.group(1) if body else source)
    return {"title": _plain(title.group(1))} if title else {}


def _blocks(source: str) -> Iterator[Block]:
    at = 0
    while found := PIECE.search(source, at):
        yield from _text(source[at : found.start()])
        block, at = _piece(source, found)
        yield block
    yield from _text(source[at:])


def _piece(source: str, found: re.Match[str]) -> tuple[Block, int]:
    """A heading, table or listing that begins there, and where it ends."""
    section = SECTION.match(source, found.start())
    if section:
        return Block("heading", _plain(section.group(2)), LEVELS[section.group(1)]), section.end()
    table = TABULAR.match(source, found.start())
    if table:
        rows = re.split(r"\\\\(?:\[[^\]]*\])?|\\tabularnewline", table.group(2))
        return Block(
            "table", markdown([[_plain(cell) for cell in re.split(r"(?<!\\)&", row)] for row in rows])
        ), table.end()
    listing = VERBATIM.match(source, found.start())
    if listing:
        return Block("code", listing.group(2)), listing.end()
    return Block("text", ""), found.end()


def _text(source: str) -> Iterator[Block]:
    for paragraph in paragraphs(source):
        first, *items = re.split(r"\\item\b(?:\[([^\]]*)\])?", paragraph)
        yield Block("text", _plain(first))
        for label, item in zip(items[::2], items[1::2], strict=True):
            yield Block("list", _plain(f"{label or '-'} {item}"))


def _plain(source: str) -> str:
    text = ARGUMENT.sub(" ", CITE.sub(r"[\1]", source))
    text = (
        THIN.sub(" ", AROUND.sub(" ", text))
        .replace("---", "—")
        .replace("--", "–")
        .replace("``", "“")
        .replace("''", "”")
    )
    text = ESCAPED.sub(lambda found: chr(0xE000 + ord(found.group(1))), text).replace("\\\\", " ")
    text = COMMAND.sub("", text).replace("{", "").replace("}", "")
    text = re.sub(r"[\ue000-\ue07f]", lambda found: chr(ord(found.group()) - 0xE000), text)
    return joined(" ".join(line.split()) for line in text.split("\n") if line.strip())
