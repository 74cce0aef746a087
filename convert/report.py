"""What is kept beside a made model: `NAME.report.json`, for programs, and the card `NAME.md`, for people; within a
folder of weights `report.json` and `README.md`.

The report, schema 1:
    schema 1, made (UTC), program
    source    {name, kind, architecture, files: [{name, bytes, sha256}], license: {id, name, link, from}, base,
              revision (of a hub)}
    result    {name, bytes, sha256, type, bits, parameters}; of a folder files: [{name, bytes, sha256}] and no sha256
    settings  what was asked for, without folders
    tensors   {type: how many}
    imatrix   null, or {name, chunks, texts, missing, experts_unrouted}
    quality   null, or the result of the job `compare`
    warnings  [text]
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convert.card import card
from engine.api.errors import UserError
from engine.api.folders import write_json
from engine.api.report_files import card_file, report_file

SCHEMA = 1
ORIGIN = ".deskside.json"  # in a folder that was fetched from a hub: which, and which revision of it
FIGURES = ("kl_mean", "kl_p999", "top1", "ppl_a", "ppl_b", "ppl_ratio")
MOST_LICENCE = 1 << 20  # bytes of a licence's text that is carried over
MOST_CARD = 1 << 18  # bytes of a source's card that are looked at
_LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING", "NOTICE")
_FOLDERS = re.compile(r"^(/|[A-Za-z]:\\|~)")


@dataclass
class Facts:
    """All that a report says; what is empty is left out of the card."""

    source: dict[str, Any]
    result: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, int] = field(default_factory=dict)
    imatrix: dict[str, Any] | None = None
    quality: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)


def write(model: Path, facts: Facts, source: Path | None = None) -> Path:
    """Write report and card beside `model`, and the text of the licence found in folder `source`. The report's path."""
    report = {
        "schema": SCHEMA,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "program": f"Deskside {_version()}",
        "source": facts.source,
        "result": facts.result,
        "settings": without_folders(facts.settings),
        "tensors": facts.tensors,
        "imatrix": facts.imatrix,
        "quality": facts.quality,
        "warnings": facts.warnings,
    }
    if source:
        _carry_licence(source, model)
    return _store(model, report)


def add_quality(model: Path, quality: dict[str, Any]) -> Path:
    """Put what `compare` found into the report and the card of a model. Raises UserError no_report."""
    return _store(model, {**read(model), "quality": quality})


def read(model: Path) -> dict[str, Any]:
    """The report of a model. Raises UserError no_report where there is none that can be read."""
    try:
        report = json.loads(report_file(model).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        report = None
    if isinstance(report, dict) and report.get("schema") == SCHEMA:
        return report
    raise UserError(
        "no_report",
        f"There is no report on {model.name}.",
        "Compare it with its source to make one.",
        name=model.name,
    )


def bars(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What a chart shows: a bar for each figure with thresholds, over all and by language.

    [{"figure", "language" ("" = all), "value", "low", "high", "good", "usable", "grade": good | usable | damaged,
    "tokens"}]; [] where quality was not measured. The words are the window's.
    """
    from convert.compare import THRESHOLDS, WORDS, grade

    quality = report.get("quality")
    if not quality:
        return []
    groups = {"": quality, **quality.get("languages", {})}
    return [
        {
            "figure": name,
            "language": language,
            "value": found[name],
            "low": found[f"{name}_low"],
            "high": found[f"{name}_high"],
            "good": limits[0],
            "usable": limits[1],
            "grade": WORDS[grade(name, found[name])],
            "tokens": found["tokens"],
        }
        for name, limits in THRESHOLDS.items()
        for language, found in groups.items()
    ]


# Licence ----------------------------------------------------------------------------------------------------------


def origin(source: Path, files: list[dict[str, Any]], stated: str = "") -> dict[str, Any]:
    """What a report says of the model that something was made of. `files`: as convert.digests gives them."""
    return {"name": source.name, "files": files, "license": licence(source, stated)} | hub_of(source)


def hub_of(folder: Path) -> dict[str, str]:
    """Where a checkpoint's folder was fetched: {"base": its name on the hub, "revision"}; {} if it was not."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        return {"base": str(said["repo"]), "revision": str(said["revision"])}
    return {}


def licence(source: Path, stated: str = "") -> dict[str, str]:
    """The licence of a source: {"id", "name", "link", "from": card | file | header | ""}.

    `source`: a checkpoint's folder, or a GGUF file; `stated`: general.license of a header. The card counts most.
    """
    folder = source if source.is_dir() else source.parent
    front = front_matter(folder / "README.md") if source.is_dir() else {}
    if front.get("license"):
        return {
            "id": front["license"],
            "name": front.get("license_name", ""),
            "link": front.get("license_link", ""),
            "from": "card",
        }
    if stated:
        return {"id": stated, "name": "", "link": "", "from": "header"}
    file = licence_file(folder) if source.is_dir() else None
    if file:
        return {"id": "other", "name": _first_line(file), "link": file.name, "from": "file"}
    return {"id": "", "name": "", "link": "", "from": ""}


def licence_file(folder: Path) -> Path | None:
    """The licence's text in a folder."""
    return next((folder / name for name in _LICENCE_FILES if (folder / name).is_file()), None)


def front_matter(card: Path) -> dict[str, str]:
    """The plain `key: value` lines between the `---` at a card's beginning; {} where there are none."""
    try:
        with card.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MOST_CARD)
    except OSError:
        return {}
    match = re.match(r"\ufeff?---\s*\n(.*?)\n---", text, re.DOTALL)
    pairs = re.findall(r"^(\w+):[ \t]*(\S[^\n]*?)[ \t]*$", match[1], re.MULTILINE) if match else []
    return {key: value.strip("\"'")[:300] for key, value in pairs}


def _carry_licence(source: Path, model: Path) -> None:
    file = licence_file(source) if source.is_dir() else None
    if file and file.stat().st_size <= MOST_LICENCE:
        place = model / file.name if model.is_dir() else card_file(model).with_suffix(".LICENSE.txt")
        with contextlib.suppress(OSError):
            shutil.copyfile(file, place)


def _first_line(file: Path) -> str:
    with contextlib.suppress(OSError):
        lines = file.read_bytes()[:4096].decode("utf-8", "replace").splitlines()
        return next((line.strip()[:200] for line in lines if line.strip()), "")
    return ""


def _store(model: Path, report: dict[str, Any]) -> Path:
    path = report_file(model)
    write_json(path, report)
    temporary = card_file(model).with_name(f".{card_file(model).name}")
    temporary.write_text(card(report), encoding="utf-8")
    temporary.replace(card_file(model))
    return path


def without_folders(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the names of files only: where they lay says who made them."""
    return {key: _short(value) for key, value in settings.items() if value not in ("", None, [], {})}


def _short(value: Any) -> Any:
    if isinstance(value, str) and _FOLDERS.match(value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    if isinstance(value, list):
        return [_short(item) for item in value]
    return {key: _short(item) for key, item in value.items()} if isinstance(value, dict) else value


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("deskside")
    except PackageNotFoundError:
        return "unpacked"
