"""The rules of the house that no linter knows; `layout_rules.py FOLDER` prints what breaks them."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOMS = ("desktop", "engine", "models", "convert", "training")
MEASURED = (*ROOMS, "bench", "dev.py")
LINES, FUNCTION_LINES, BYTES = 400, 60, 1_000_000
EMPTY_NAMES = {"utils", "util", "manager", "managers", "helper", "helpers", "common", "misc", "core_utils", "version"}
ARRAYS_ROOM = "convert/"  # is loaded in a job's process only, and all it does is arrays (decision 036)
HEAVY = {"torch", "transformers", "numpy", "llama_cpp", "onnx", "onnxruntime"}
LLAMA_ROOM = "engine/llama/"
# Written in two halves, or this file would break its own rule.
UNFINISHED = ("TO" + "DO", "FIX" + "ME", "XX" + "X:", "NotImplemented" + "Error")
OWN_MOCKS = ("unittest" + ".mock", "monkeypatch" + ".setattr")


def broken_rules(root: Path) -> list[str]:
    """One line for each breach, "path: what", for all files of `root` that git does not ignore."""
    return sorted(line for path in files(root) for line in _breaches(root, path))


def files(root: Path) -> list[Path]:
    """Tracked and new files; every file where `root` is no git checkout."""
    call = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(call, capture_output=True, text=True, check=False)
    if listed.returncode:
        return sorted(path for path in root.rglob("*") if path.is_file())
    return [path for name in listed.stdout.splitlines() if (path := root / name).is_file()]


def _breaches(root: Path, path: Path) -> Iterator[str]:
    name = path.relative_to(root).as_posix()
    if path.stat().st_size > BYTES:
        yield f"{name}: {path.stat().st_size} bytes; nothing over {BYTES} belongs in git"
    if name == "packaging/__init__.py":
        yield f"{name}: would shadow the package `packaging` of PyPI"
    if path.suffix == ".py":
        yield from (f"{name}: {breach}" for breach in _python_breaches(name, path))


def _python_breaches(name: str, path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, name)
    yield from _bad_name(name, path)
    yield from (f"holds {word}" for word in UNFINISHED if word in text)
    yield from (f"replaces code of ours by {word}" for word in OWN_MOCKS if word in text)
    if name.startswith(MEASURED):
        yield from _too_long(text, tree)
    if name.startswith(ROOMS):
        yield from _heavy_imports(name, tree)
    if name.startswith("engine/api/"):
        yield from _api_imports(tree)


def _bad_name(name: str, path: Path) -> Iterator[str]:
    stem = path.parent.name if path.stem == "__init__" else path.stem
    if stem in EMPTY_NAMES:
        yield f"'{stem}' says nothing of what is inside"
    if name.startswith(ROOMS) and stem != "__main__" and stem in sys.stdlib_module_names:
        yield f"'{stem}' is a module of the standard library"
    if path.parent.name in ROOMS and stem in installed_modules():
        yield f"'{stem}' is a module of an installed package"


@cache
def installed_modules() -> set[str]:
    """Top-level modules of the packages installed here, ours left out."""
    return set(importlib.metadata.packages_distributions()) - set(ROOMS)


def _too_long(text: str, tree: ast.Module) -> Iterator[str]:
    lines = len(text.splitlines())
    if lines >= LINES:
        yield f"{lines} lines; files stay under {LINES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            long = node.end_lineno - node.lineno + 1
            if long > FUNCTION_LINES:
                yield f"{node.name} has {long} lines; functions stay at or under {FUNCTION_LINES}"


def _heavy_imports(name: str, tree: ast.Module) -> Iterator[str]:
    for module, line in _imports(tree.body):
        top = module.split(".")[0]
        if top in HEAVY and not (top == "numpy" and name.startswith(ARRAYS_ROOM)):
            yield f"line {line} imports {top} on import; do it inside a function"
    for module, line in _imports(list(ast.walk(tree))):
        top = module.split(".")[0]
        if top == "llama_cpp" and not name.startswith(LLAMA_ROOM):
            yield f"line {line} imports llama_cpp; only {LLAMA_ROOM} does"
        if top == "PySide6" and not name.startswith("desktop/"):
            yield f"line {line} imports PySide6; only desktop/ does"


def _api_imports(tree: ast.Module) -> Iterator[str]:
    for module, line in _imports(list(ast.walk(tree))):
        if module.split(".")[0] not in sys.stdlib_module_names and not module.startswith("engine.api"):
            yield f"line {line} imports {module}; engine.api is standard library only"


def _imports(nodes: list[ast.stmt] | list[ast.AST]) -> Iterator[tuple[str, int]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module, node.lineno


if __name__ == "__main__":
    found = broken_rules(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    print("\n".join(found) or "layout: all rules kept")
    raise SystemExit(bool(found))
