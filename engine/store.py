"""A database of ours: opened, checked, migrated, and locked against this process's own threads."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engine.api.errors import UserError
from engine.migrations import STEPS, migrate

if TYPE_CHECKING:
    from sqlite_utils import Database

ALWAYS_CHECK_BELOW = 64 * 1024 * 1024


class Store:
    """SQLite behind one lock: one connection serves all threads of a process.

    `recovered` is None, or says where a damaged database was moved: {"old": path, "reason": text}. Whoever may not
    move one (`owner` False: another process has it open, too) gets a UserError damaged_database.
    """

    history: ClassVar[str] = "deskside"
    steps: ClassVar[tuple[Callable[[Database], None], ...]] = STEPS

    def __init__(self, file: Path, *, owner: bool = True) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self.recovered: dict[str, str] | None = None
        try:
            self.db = self._open(file)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
                raise _cannot_open(file, error) from error
            if not owner:
                raise database_error(error) from error
            self.recovered = {"old": str(_move_aside(file)), "reason": str(error)}
            self.db = self._open(file)

    @classmethod
    def _open(cls, file: Path) -> Database:
        from sqlite_utils import Database

        connection = sqlite3.connect(file, check_same_thread=False, timeout=10)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            _check(connection, file)
            db = Database(connection)
            migrate(db, cls.history, cls.steps)
        except BaseException:
            connection.close()
            raise
        return db

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """Several statements that count together or not at all; other threads wait."""
        with self._lock, self.db.atomic():
            yield self.db

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """All rows of a query as dictionaries."""
        with self._lock:
            return list(self.db.query(sql, values))

    def row(self, sql: str, *values: Any) -> dict[str, Any] | None:
        """The first row of a query, or None."""
        return next(iter(self.rows(sql, *values)), None)

    def run(self, sql: str, *values: Any) -> None:
        """One writing statement, committed when it returns."""
        with self._lock:
            self.db.execute(sql, values)

    def fold(self, share: float = 0.2) -> bool:
        """Write the log into the file and empty it; give free pages back if they are more than this share.

        secure_delete has overwritten what they held. False if another process was reading all the while.
        """
        with self._lock:
            free, pages = (self.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
            if free > pages * share:
                self.db.execute("VACUUM")
            return bool(self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        with self._lock:
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.db.close()


def database_error(error: sqlite3.DatabaseError) -> UserError:
    """What a failed statement means for the person."""
    if "disk is full" in str(error) or "disk I/O" in str(error):
        return UserError(
            "disk_full", "The disk is full; nothing more can be saved.", "Free some space, then try again."
        )
    if _is_damage(error):
        return UserError(
            "damaged_database",
            f"The database is damaged ({error}).",
            "Restart Deskside: it keeps the damaged file and starts a fresh one.",
        )
    return UserError("database_busy", f"The database did not answer ({error}).", "Try again in a moment.")


def _check(connection: sqlite3.Connection, file: Path) -> None:
    """A full check of a huge file would delay every start, so it is left to SQLite's own checks there."""
    if file.stat().st_size > ALWAYS_CHECK_BELOW:
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(f"malformed: {verdict}")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return any(word in str(error) for word in ("malformed", "not a database", "corrupt", "unsupported file format"))


def _move_aside(file: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = file.with_name(f"{file.stem}-damaged-{stamp}{file.suffix}")
    for ending in ("-wal", "-shm", ""):
        part = file.with_name(file.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    return aside


def _cannot_open(file: Path, error: sqlite3.Error) -> UserError:
    return UserError(
        "cannot_open_database",
        f"The database {file} cannot be opened ({error}).",
        "Check that the folder can be written to and that the disk is not full.",
        path=str(file),
    )
