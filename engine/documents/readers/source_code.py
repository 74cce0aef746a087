"""Programs and settings: pieces that begin at the margin after a blank line, each with the definitions it holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.documents.block import Block, Limits
from engine.documents.text_file import text_of

NAMES = """
py pyi pyx js mjs cjs jsx ts tsx vue svelte java kt kts scala groovy c h cc cpp cxx hpp hh cs go rs rb php pl pm lua r
jl swift m mm dart ex exs erl hrl hs ml mli clj cljs lisp el scm f f90 f95 for pas ada asm s v sv vhd vhdl sql sh bash
zsh fish ps1 bat cmd awk sed css scss sass less yaml yml toml ini cfg conf properties env proto graphql tf cmake make
mk gradle dockerfile vim diff patch nix zig sol
"""
SUFFIXES = tuple(f".{name}" for name in NAMES.split())
LINES = 80  # of a piece that nothing divides
SHORT = 6  # lines: shorter pieces go with the next one


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Code blocks. Raises UserError as `text_of` does."""
    piece: list[str] = []
    blank = False
    for line in text_of(path, limits).split("\n"):
        at_margin = bool(line) and not line[0].isspace() and line[0] not in ")}]"
        if piece and ((blank and at_margin and len(piece) >= SHORT) or len(piece) >= LINES):
            yield Block("code", "\n".join(piece))
            piece = []
        piece.append(line)
        blank = not line.strip()
    yield Block("code", "\n".join(piece))
