"""Where Deskside keeps things. `DESKSIDE_HOME` moves everything at once."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from engine.api.errors import UserError


def home() -> Path:
    """The data folder: `DESKSIDE_HOME`, else the system's own place for application data."""
    chosen = os.environ.get("DESKSIDE_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "Deskside"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Deskside"
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "deskside"


def home_unusable(error: OSError) -> UserError:
    """What it means that the data folder could not be made or written."""
    return UserError(
        "home_unusable",
        f"The data folder {home()} cannot be used ({error.strerror or error}).",
        "Make it writable, or set DESKSIDE_HOME to another folder.",
        path=str(home()),
    )


def models_folder() -> Path:
    """One folder per installed model, each with a `manifest.json` written last."""
    return home() / "models"


def checkpoints_folder() -> Path:
    """Checkpoints of a hub that were fetched to be converted: OWNER/NAME, unfinished ones OWNER/NAME.partial."""
    return home() / "checkpoints"


def logs_folder() -> Path:
    """Log files of the engine and of each job."""
    return home() / "logs"


def conversations_folder() -> Path:
    """KV caches of conversations, so that going on with one need not read it all again. Only a cache."""
    return home() / "conversations"


def attachments_folder() -> Path:
    """Images and sounds of messages, each under the sha256 of its bytes."""
    return home() / "attachments"


def database_file() -> Path:
    """The one SQLite database; only the engine writes it."""
    return home() / "deskside.db"


def documents_file() -> Path:
    """The database of collections and their chunks; the engine and its index jobs write it."""
    return home() / "documents.db"


def settings_file() -> Path:
    """The settings; only the engine writes them, anyone may read them."""
    return home() / "settings.json"


def write_json(path: Path, data: Any) -> None:
    """Replace `path` by `data` as JSON so that a kill leaves the old file or the new one, never a half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
