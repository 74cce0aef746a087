"""One file a model family: `FAMILY = Family(...)`, or `FAMILIES` where several share all but a few words."""

from __future__ import annotations

from functools import cache

from convert.config import Config
from convert.family import Family
from engine.api.parts import load_part, part_names

NAME = "convert.families"


@cache
def all_families() -> dict[str, Family]:
    """Every family by its id: the file's name, or that and the GGUF architecture where a file holds several."""
    found: dict[str, Family] = {}
    for name in part_names(NAME):
        module = load_part(NAME, name)
        families = getattr(module, "FAMILIES", None) or (module.FAMILY,)
        for family in families:
            found[name if len(families) == 1 else f"{name}/{family.name or family.arch}"] = family
    return found


def family_of(config: Config) -> tuple[str, Family] | None:
    """The family that knows the checkpoint's architecture and accepts its config; None if there is none."""
    for identity, family in all_families().items():
        if config.architecture in family.architectures and family.accepts(config):
            return identity, family
    return None


def families_of_arch(arch: str) -> list[tuple[str, Family]]:
    """The families whose files have this GGUF architecture, the one that is named like it first."""
    fitting = [(name, family) for name, family in all_families().items() if family.arch == arch]
    return sorted(fitting, key=lambda one: one[0].partition("/")[0] != arch.replace("-", "_"))
