"""A model file that is no good, in one wording."""

from __future__ import annotations

from pathlib import Path

from engine.api.errors import UserError


def damaged(path: Path, reason: str) -> UserError:
    """The file or folder cannot be what it says it is."""
    return UserError(
        "damaged_model",
        f"{path.name} is damaged: {reason}.",
        "Download or copy it again.",
        name=path.name,
        reason=reason,
    )
