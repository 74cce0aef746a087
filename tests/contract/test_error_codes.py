"""Each error that a person can meet has one code, and words for it in every language."""

from __future__ import annotations

import ast
import string
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGES = sorted(path.name for path in (ROOT / "desktop" / "languages").iterdir() if path.is_dir())


def translations(language: str) -> list[tuple[str, str]]:
    files = sorted((ROOT / "desktop" / "languages" / language).glob("errors_*.toml"))
    return [pair for file in files for pair in tomllib.loads(file.read_text(encoding="utf-8")).items()]


def raised() -> dict[str, str]:
    """Codes of all `UserError("CODE", …)` in the rooms, and where they stand."""
    found = {}
    for path in (path for room in ("desktop", "engine", "models") for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UserError"
            if named and node.args and isinstance(node.args[0], ast.Constant):  # type: ignore[attr-defined]
                found[str(node.args[0].value)] = path.relative_to(ROOT).as_posix()  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_code_is_translated_twice(language: str) -> None:
    counts = Counter(code for code, _ in translations(language))
    assert [code for code, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_words(language: str) -> None:
    known = dict(translations(language))
    assert {code: path for code, path in raised().items() if code not in known} == {}


def test_all_languages_fill_the_same_values() -> None:
    fields = {
        language: {code: {name for _, name, _, _ in string.Formatter().parse(text) if name} for code, text in pairs}
        for language, pairs in ((language, translations(language)) for language in LANGUAGES)
    }
    assert fields["zh"] == fields["en"]
