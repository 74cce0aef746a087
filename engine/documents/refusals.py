"""The refusals of document readers, each in one wording."""

from __future__ import annotations

from pathlib import Path

from engine.api.errors import UserError


def unreadable(path: Path) -> UserError:
    """The file is damaged or cut off, or is not what its name says."""
    return UserError(
        "unreadable_document",
        f"{path.name} cannot be read: it is damaged, or not what its name says.",
        "Open it in the program it was made with and save it anew.",
        name=path.name,
    )


def protected(path: Path) -> UserError:
    """The file is encrypted: its text is not there without the password."""
    return UserError(
        "protected_document",
        f"{path.name} is protected with a password.",
        "Save a copy without the password and add that.",
        name=path.name,
    )


def too_large(path: Path) -> UserError:
    """Reading the file would take more than its limits allow."""
    return UserError(
        "too_large_document",
        f"{path.name} holds more than can be read.",
        "Split it into smaller files.",
        name=path.name,
    )
