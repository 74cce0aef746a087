"""Importing any module leaves the heavy libraries alone, so that every process starts fast and stays small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "llama_cpp", "numpy", "transformers", "PySide6")
LIGHT_DESKTOP = ("__main__", "pipe", "terminal", "conversation", "text", "commands")


def modules(room: str) -> list[str]:
    paths = (path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / room).rglob("*.py")))
    names = (".".join(path.parts).removesuffix(".__init__") for path in paths)
    return [name for name in names if not name.endswith(".__main__")]


def loaded_by(names: list[str]) -> list[str]:
    """Which heavy libraries are in sys.modules once a new process has imported `names`."""
    code = f"import importlib, sys\nfor name in {names!r}: importlib.import_module(name)\n"
    code += f"print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("room", ["engine", "models"])
def test_a_room_without_a_window_imports_nothing_heavy(room: str) -> None:
    assert len(modules(room)) > 3
    assert loaded_by(modules(room)) == []


def test_conversion_imports_nothing_heavy_but_numpy() -> None:
    names = [name for name in modules("convert") if not name.endswith(("onnx.inside", "onnx.watched"))]
    assert len(names) > 50
    assert loaded_by(names) == ["numpy"]


def test_the_command_line_imports_no_qt_and_nothing_heavy() -> None:
    light = [name for name in modules("desktop") if name.split(".")[1:2] and name.split(".")[1] in LIGHT_DESKTOP]
    assert "desktop.commands.chat" in light
    assert loaded_by([*light, "desktop.__main__", "engine.__main__"]) == []


def test_the_window_holds_no_model_and_no_numpy() -> None:
    window = modules("desktop")
    assert "desktop.pages.chat" in window
    assert loaded_by(window) == ["PySide6"]
