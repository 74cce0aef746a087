"""Every error a person can meet has its words in every language, once."""

from __future__ import annotations

import ast
import string
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGES = ROOT / "desktop" / "languages"


def codes() -> set[str]:
    """The first argument of every `UserError(...)` in the rooms."""
    found = set()
    for room in ("convert", "desktop", "engine", "models"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UserError":
                    first = node.args[0] if node.args else None
                    if isinstance(first, ast.Constant):
                        found.add(str(first.value))
    return found


def words(language: str) -> Counter[str]:
    counted: Counter[str] = Counter()
    for path in sorted((LANGUAGES / language).glob("errors_*.toml")):
        counted.update(tomllib.loads(path.read_text(encoding="utf-8")).keys())
    return counted


@pytest.mark.parametrize("language", sorted(p.name for p in LANGUAGES.iterdir()))
def test_every_code_has_words_and_only_once(language: str) -> None:
    counted = words(language)
    missing = sorted(codes() - set(counted))
    twice = sorted(code for code, times in counted.items() if times > 1)
    unused = sorted(set(counted) - codes())
    assert (missing, twice, unused) == ([], [], [])


@pytest.mark.parametrize("language", sorted(p.name for p in LANGUAGES.iterdir()))
def test_words_can_be_filled_in(language: str) -> None:
    for path in (LANGUAGES / language).glob("errors_*.toml"):
        for code, text in tomllib.loads(path.read_text(encoding="utf-8")).items():
            names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
            assert all(name.isidentifier() for name in names), code
            assert text.strip(), code
