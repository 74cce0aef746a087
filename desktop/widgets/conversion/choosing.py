"""What is offered of a source's types, and what is expected of them. Rows are those of `convert.targets`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

Row = dict[str, Any]

USUAL = ("BF16", "F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M", "Q2_K")
GOOD, USABLE = 0.1, 0.5  # of the mean KL divergence, as in the report
FEW = 1_000_000_000  # parameters: smaller models lose more of themselves, and 8 bits of them are no burden
KEPT = {"BF16": ("BF16",), "F16": ("F16",), "F32": ("F32", "F16")}  # of the plain types, by the source's


def usual(rows: list[Row], dtype: str) -> list[Row]:
    """The types that most people choose from, in their order; of the plain ones only those that fit the source."""
    plain = KEPT.get(dtype, ("F16",))
    wanted = [*plain, *(name for name in USUAL if name not in ("BF16", "F16"))]
    known = {row["type"]: row for row in rows}
    return [known[name] for name in wanted if name in known]


def expected(row: Row, matrix: bool) -> float | None:
    """The mean KL divergence to expect, as published for this type; None where nobody has measured it."""
    quality = row["quality"]
    with_matrix = quality.get("kld_imatrix") if matrix or row["imatrix"] == "required" else None
    found = with_matrix if with_matrix is not None else quality.get("kld")
    if found is None:
        found = quality.get("kld_imatrix")
    return None if found is None else float(found)


def grade(row: Row, matrix: bool) -> str:
    """good, usable, damaged, "" where it is not known."""
    value = expected(row, matrix)
    if value is None:
        return ""
    return "good" if value <= GOOD else "usable" if value <= USABLE else "damaged"


def recommended(found: dict[str, Any], matrix: bool = False) -> str:
    """The type to begin with, "" where there is none: 8 bits of small models, 4 of others, what fits of large ones."""
    rows = usual(found["targets"], found["dtype"])
    smaller = [row for row in rows if row["bytes"] < found["bytes"]] or rows
    wanted = "Q8_0" if found["parameters"] < FEW else "Q4_K_M"
    good = [row for row in smaller if row["fit"] == "fits" and grade(row, matrix) == "good"]
    for row in good:
        if row["type"] == wanted:
            return wanted
    largest = max(good or smaller, key=lambda row: row["bytes"] if good else -row["bytes"], default=None)
    return largest["type"] if largest else ""


def best_under(rows: list[Row], limit: float, matrix: bool) -> str:
    """The type of at most `limit` bytes that is expected to lose least, "" where none is that small."""
    known = [row for row in rows if row["bytes"] <= limit and expected(row, matrix) is not None]
    best = min(known, key=lambda row: (expected(row, matrix), row["bytes"]), default=None)
    return best["type"] if best else ""


def raised(row: Row) -> bool:
    """Whether it is larger here than its name says, because of rows that its blocks do not divide."""
    return bool(row["fallback_tensors"]) and row["usual_bits"] > 0 and row["bits"] > row["usual_bits"] * 1.1


def instead(row: Row) -> list[str]:
    """The types that tensors get instead of the wanted ones."""
    return list(dict.fromkeys(given for _, given, _ in row["fallbacks"]))


def own_name(source: str, found: dict[str, Any]) -> str:
    """What the source is called on the disk, or on its hub."""
    file = Path(source).name if found.get("kind") == "gguf" and Path(source).suffix else ""
    return file or str(found.get("name") or Path(source).name)


def bare_name(name: str, types: list[str]) -> str:
    """A model's name without `.gguf`, the number of a part, and the type at its end; without a hub's owner."""
    name = re.sub(r"(-\d{5}-of-\d{5})?\.gguf$", "", name.rsplit("/", 1)[-1], flags=re.IGNORECASE)
    kinds = "|".join(re.escape(kind) for kind in sorted([*types, "F32", "F16", "BF16"], key=len, reverse=True))
    return re.sub(rf"[-._ ](?:{kinds})$", "", name, flags=re.IGNORECASE) or name


def safe_name(name: str) -> str:
    """Without what a file's name may not hold on some system."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "-", name).strip(" .") or "model"


def home_of(source: str, hub: bool, own: Path) -> str:
    """The folder to begin with: beside the source; `own` for a hub's, and for what Deskside keeps itself."""
    path = Path(source)
    inside = own.parent in path.parents
    return str(own if hub or inside or not path.is_absolute() else path.parent)
