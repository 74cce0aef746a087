"""Every note of a conversion has words in every language."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGES = ROOT / "desktop" / "languages"


def codes() -> set[str]:
    """First arguments of all calls of `note` in the room of conversion, and of the errors that become notes there."""
    found = set()
    for path in [*(ROOT / "convert").rglob("*.py"), ROOT / "models" / "safetensors_header.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in ("note", "BadHeader") and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found


@pytest.mark.parametrize("language", sorted(path.name for path in LANGUAGES.iterdir()))
def test_every_note_has_words(language: str) -> None:
    words = tomllib.loads((LANGUAGES / language / "convert_notes.toml").read_text(encoding="utf-8"))
    assert len(codes()) > 10
    assert set(words) == codes()
