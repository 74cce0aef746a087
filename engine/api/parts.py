"""Parts found by name: the file `FOLDER/NAME.py` is the part NAME of that folder."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from engine.api.errors import UserError


def part_names(package: str) -> list[str]:
    """Names of all parts of a package (dotted name), sorted; nothing of them is imported."""
    path = importlib.import_module(package).__path__
    return sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_"))


def load_part(package: str, name: str) -> ModuleType:
    """Import one part. An unknown name is a UserError; an ImportError inside the part stays its own error."""
    known = part_names(package)
    if name not in known:
        raise UserError(
            "unknown_part",
            f"There is no '{name}' in {package}.",
            f"Known: {', '.join(known)}.",
            name=name,
            known=", ".join(known),
        )
    return importlib.import_module(f"{package}.{name}")
