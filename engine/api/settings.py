"""The settings, typed. The settings page is generated from these fields; their words are in languages/."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from engine.api.errors import UserError
from engine.api.folders import settings_file, write_json


def _in(section: str, default: Any, **limits: Any) -> Any:
    """A setting: its section on the page, and `choices`, `low`, `high`, `lines`, `shown=False`, or `installed=True`:
    the id of a model that is here, "" for none."""
    return field(default=default, metadata={"section": section, **limits})


@dataclass(frozen=True)
class Settings:
    """Everything a person can set. Immutable: change it with `with_values`."""

    language: str = _in("look", "", choices=("", "en", "zh"))
    theme: str = _in("look", "system", choices=("system", "light", "dark"))
    font_size: int = _in("look", 14, low=11, high=22)
    rail_wide: bool = _in("look", False)

    default_model: str = _in("chat", "", shown=False)
    default_system: str = _in("chat", "", lines=4)
    when_full: str = _in("chat", "drop", choices=("drop", "summarize"))
    show_thinking: bool = _in("chat", False)

    context_size: int = _in("memory", 4096, low=256, high=1_048_576)
    extend_context: bool = _in("memory", False)
    parallel: int = _in("memory", 4, low=1, high=64)
    kv_type: str = _in("memory", "f16", choices=("f16", "q8_0", "q4_0"))
    flash_attention: str = _in("memory", "auto", choices=("auto", "on", "off"))
    gpu_layers: int = _in("memory", -1, low=-1, high=999)
    models_at_once: int = _in("memory", 3, low=1, high=32)
    idle_unload_minutes: int = _in("memory", 0, low=0, high=10_000)

    threads: int = _in("engine", 0, low=0, high=256)
    guess_ahead: bool = _in("engine", True)
    draft_model: str = _in("engine", "", installed=True)
    read_drafts: bool = _in("engine", True)
    stored_conversations_gb: int = _in("engine", 2, low=0, high=1000)
    queue_limit: int = _in("engine", 64, low=1, high=10_000)

    serve_port: int = _in("server", 8642, low=1, high=65_535)
    serve_to_network: bool = _in("server", False)
    serve_at_start: bool = _in("server", False)

    hub_endpoint: str = _in("downloads", "https://huggingface.co")
    pypi_index: str = _in("downloads", "https://pypi.org/simple")

    first_start_done: bool = _in("look", False, shown=False)

    def with_values(self, values: dict[str, Any]) -> Settings:
        """A copy with `values` put in. Raises UserError for an unknown name or a value out of bounds."""
        known = {f.name: f for f in dataclasses.fields(self)}
        for name, value in values.items():
            if name not in known:
                raise UserError("unknown_setting", f"There is no setting '{name}'.", name=name)
            _check(known[name], value)
        return dataclasses.replace(self, **values)


def _check(setting: dataclasses.Field[Any], value: Any) -> None:
    limits = setting.metadata
    fits = type(value) is type(setting.default)
    if fits and "choices" in limits:
        fits = value in limits["choices"]
    if fits and "low" in limits:
        fits = limits["low"] <= value <= limits["high"]
    if not fits:
        raise UserError(
            "bad_setting", f"{value!r} is not possible for the setting '{setting.name}'.", name=setting.name
        )


def load_settings() -> Settings:
    """The stored settings. Whatever in the file is unknown or out of bounds falls back to its default."""
    try:
        stored = json.loads(settings_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Settings()
    settings = Settings()
    for name, value in stored.items() if isinstance(stored, dict) else ():
        try:
            settings = settings.with_values({name: value})
        except UserError:
            continue
    return settings


def save_settings(settings: Settings) -> None:
    """Store the settings. Called by the engine alone."""
    write_json(settings_file(), dataclasses.asdict(settings))
