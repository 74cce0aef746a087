"""The layout rules hold, and each of them catches what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest
from layout_rules import broken_rules

ROOT = Path(__file__).parents[2]


def test_the_house_keeps_its_rules() -> None:
    assert broken_rules(ROOT) == []


@pytest.mark.parametrize(
    ("name", "text", "breach"),
    [
        ("engine/helpers.py", "", "says nothing"),
        ("engine/platform.py", "", "standard library"),
        ("models/httpx.py", "", "installed package"),
        ("packaging/__init__.py", "", "shadow"),
        ("engine/long.py", "x = 1\n" * 400, "400 lines"),
        ("engine/one.py", "def f() -> None:\n" + "    print()\n" * 60, "f has 61 lines"),
        ("engine/store.py", "import llama_cpp\n", "only engine/llama/ does"),
        ("engine/llama/load.py", "import llama_cpp\n", "inside a function"),
        ("models/fit.py", "def f() -> None:\n    from PySide6 import QtCore\n", "only desktop/ does"),
        ("training/sft.py", "import torch\n", "inside a function"),
        ("engine/api/wire.py", "import httpx\n", "standard library only"),
        ("engine/api/wire.py", "from engine.store import Store\n", "standard library only"),
        ("engine/later.py", "# TO" "DO: more\n", "holds"),
        ("tests/test_x.py", "import unittest" ".mock\n", "replaces code"),
        ("docs/picture.bin", "x" * 1_000_001, "nothing over"),
    ],
)  # fmt: skip
def test_a_breach_is_found(tmp_path: Path, name: str, text: str, breach: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = broken_rules(tmp_path)
    assert found
    assert all(line.startswith(f"{name}: ") for line in found)
    assert any(breach in line for line in found)


def test_clean_code_breaks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "engine" / "llama" / "load.py"
    path.parent.mkdir(parents=True)
    path.write_text("def load() -> None:\n    import llama_cpp\n\n    print(llama_cpp)\n")
    assert broken_rules(tmp_path) == []
