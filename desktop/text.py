"""Every word the person reads: `tr("AREA.key", name=value)` from `languages/LANGUAGE/AREA.toml`."""

from __future__ import annotations

import locale
import os
import string
import tomllib
from functools import cache
from pathlib import Path

from engine.api.errors import UserError

FOLDER = Path(__file__).parent / "languages"
LANGUAGES = ("en", "zh")
_current = {"language": "en"}


def set_language(language: str) -> None:
    """Speak `language`: "en", "zh", or "" for the system's."""
    _current["language"] = language if language in LANGUAGES else system_language()


def language() -> str:
    """The language spoken now, "en" or "zh"."""
    return _current["language"]


def system_language() -> str:
    """Chinese where the system speaks Chinese, English everywhere else."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return "zh" if os.environ[name].lower().startswith("zh") else "en"
    return "zh" if (locale.getlocale()[0] or "").lower().startswith(("zh", "chinese")) else "en"


def tr(key: str, **values: object) -> str:
    """The text of `key` ("AREA.name") with its placeholders filled. An unknown key is shown as itself."""
    text = find(key)
    return key if text is None else _filled(text, values)


def find(key: str) -> str | None:
    """The unfilled text of `key` in the current language, else in English, else None."""
    text = words(language()).get(key)
    return words("en").get(key) if text is None else text


def error_text(error: UserError) -> tuple[str, str]:
    """(text, hint) of an error in the current language; its own English where there is no translation.

    A translation is one line "what happened. What to do.", so its hint is "".
    """
    text = find(f"errors.{error.code}")
    if text is None:
        return error.text, error.hint
    return _filled(text, {name: _said(value) for name, value in error.values.items()}), ""


def _said(value: object) -> object:
    """A value as it is, or in the current language where it is a note: {"code", "values", "text"}."""
    return note_words(value) if isinstance(value, dict) and "code" in value and "text" in value else value


def note_words(note: object) -> str:
    """A note of a conversion in the current language; as it is where it has no words of its own."""
    said = note if isinstance(note, dict) else {}
    text, values = find(f"convert_notes.{said.get('code')}"), said.get("values")
    if text is None:
        return str(said.get("text") or "")
    return _filled(text, values if isinstance(values, dict) else {})


@cache
def words(language: str) -> dict[str, str]:
    """All texts of one language, "AREA.key" -> text. Files `errors_*.toml` together are the area `errors`."""
    found: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.toml")):
        area = "errors" if path.stem.startswith("errors_") else path.stem
        for key, text in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found[f"{area}.{key}"] = str(text)
    return found


def _filled(text: str, values: dict[str, object]) -> str:
    """`text` with its placeholders filled; a value that is missing leaves its placeholder to be seen."""
    try:
        return string.Formatter().vformat(text, (), _Known(values))
    except (ValueError, AttributeError, IndexError, TypeError):
        return text


class _Known(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def bytes_text(count: float) -> str:
    """A size as people read it: decimal units as in shops and on web pages, "98 MB", "5.0 GB"."""
    if count < 1000:
        return f"{int(count)} B"
    for unit in ("KB", "MB"):
        count /= 1000
        if count < 999.5:
            return f"{count:.0f} {unit}"
    return f"{count / 1000:.1f} GB"


def part_text(done: float, total: float) -> str:
    """Done of total in the unit of the total: "1.42 / 2.50 GB", "12 / 98 MB"."""
    for unit, size, digits in (("GB", 1e9, 2), ("MB", 1e6, 0), ("KB", 1e3, 0)):
        if total >= size:
            return f"{done / size:.{digits}f} / {total / size:.{digits}f} {unit}"
    return f"{int(done)} / {int(total)} B"


def speed_text(bytes_per_s: float) -> str:
    """A speed: "8.1 MB/s"."""
    if bytes_per_s >= 1e6:
        return f"{bytes_per_s / 1e6:.1f} MB/s"
    return f"{bytes_per_s / 1e3:.0f} KB/s"


def duration_text(seconds: float) -> str:
    """A time span in at most two units: "0.4 s", "45 s", "2 min 13 s", "3 h 5 min"."""
    if seconds < 10:
        return tr("frame.seconds", count=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 60:
        return tr("frame.seconds", count=whole)
    if whole < 3600:
        return tr("frame.minutes_seconds", minutes=whole // 60, seconds=whole % 60)
    return tr("frame.hours_minutes", hours=whole // 3600, minutes=whole % 3600 // 60)


def count_text(count: int) -> str:
    """A whole number in short: 8192 -> "8K", in Chinese "8 千"; 32768 -> "32K", "3.2 万"."""
    if language() == "zh":
        return _short(count, ((10_000, " 万"), (1_000, " 千")))
    return _short(count, ((1_000_000, "M"), (1_000, "K")))


def _short(count: int, units: tuple[tuple[int, str], ...]) -> str:
    for size, unit in units:
        if count >= size:
            tenths = count * 10 // size
            whole = size == 1_000 or tenths % 10 == 0
            return f"{tenths // 10}{unit}" if whole else f"{tenths / 10:.1f}{unit}"
    return str(count)
