"""What changed on the disk since a collection was indexed: new, changed, renamed and deleted files.

Size and time tell first, the content after that.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.documents.database import DocumentStore
from engine.documents.deleting import delete_files, path_hash

CORPUS = "corpus:"  # the path of a document that is no file on a disk: its text came with `import-corpus`
LEFT_OUT = frozenset({"node_modules", "__pycache__", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN"})
LOCKS = ("~$", ".~lock.")  # what office programs leave beside a file that is open
DEEPEST = 64
Look = Callable[[], object]


@dataclass(frozen=True)
class OnDisk:
    """A file that is there."""

    path: str
    bytes: int
    mtime_ns: int
    folder: int | None


@dataclass
class Scan:
    """What a look at the disk gave. `unseen`: folders that could not be listed, whose files are not judged.

    `left_out` counts what is not read, by reason: hidden, link, special, deep.
    """

    files: dict[str, OnDisk] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


@dataclass(frozen=True)
class Difference:
    """Rows of files and files on the disk that do not agree."""

    new: list[OnDisk]
    changed: list[tuple[dict[str, Any], OnDisk]]
    gone: list[dict[str, Any]]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone)


def add_paths(store: DocumentStore, number: int, paths: Iterable[str]) -> int:
    """Files and folders become part of a collection, folders are watched. Returns how many files are new.

    Raises UserError no_such_path, home_inside (a folder that holds Deskside's own data).
    """
    for text in paths:
        path = _real(text)
        with store.transaction() as db:
            db.execute("DELETE FROM left_out WHERE collection = ? AND path_sha256 = ?", (number, path_hash(str(path))))
            if path.is_dir():
                db.execute(
                    "INSERT INTO folders (collection, path, watched) VALUES (?, ?, 1)"
                    " ON CONFLICT (collection, path) DO UPDATE SET watched = 1",
                    (number, str(path)),
                )
            else:
                info = path.stat()
                insert_file(db, number, OnDisk(str(path), info.st_size, info.st_mtime_ns, None))
    before = _count(store, number)
    apply(store, number, difference(store, number, scan(store, number), new_only=True))
    return _count(store, number) - before


def scan(store: DocumentStore, number: int, look: Look = lambda: None) -> Scan:
    """All files of a collection's folders, and those added one by one that still are there.

    `look` is called for every file; it may raise to end the scan.
    """
    seen = Scan()
    for folder in store.rows("SELECT * FROM folders WHERE collection = ? AND watched = 1 ORDER BY path", number):
        _walk(folder["path"], folder["id"], seen, look)
    singles = "SELECT path FROM files WHERE collection = ? AND folder IS NULL AND path NOT LIKE 'corpus:%'"
    for row in store.rows(singles, number):
        look()
        path = Path(row["path"])
        try:
            info = path.stat()
            seen.files.setdefault(row["path"], OnDisk(row["path"], info.st_size, info.st_mtime_ns, None))
        except FileNotFoundError:
            if not path.parent.exists():
                seen.unseen.append(str(path.parent))
        except OSError:
            seen.unseen.append(str(path.parent))
    return seen


def difference(store: DocumentStore, number: int, seen: Scan, *, new_only: bool = False) -> Difference:
    """What of a scan is not in the database as it is on the disk. Nothing is read yet."""
    sql = "SELECT id, folder, path, bytes, mtime_ns, sha256, state FROM files WHERE collection = ?"
    known = {row["path"]: row for row in store.rows(sql, number) if not row["path"].startswith(CORPUS)}
    left_out = {row["path_sha256"] for row in store.rows("SELECT * FROM left_out WHERE collection = ?", number)}
    new = [one for path, one in seen.files.items() if path not in known and not _among(path, left_out)]
    if new_only:
        return Difference(new, [], [])
    pairs = ((known[path], one) for path, one in seen.files.items() if path in known)
    changed = [(row, one) for row, one in pairs if (row["bytes"], row["mtime_ns"]) != (one.bytes, one.mtime_ns)]
    hidden = tuple(folder.rstrip(os.sep) + os.sep for folder in seen.unseen)
    gone = [row for path, row in known.items() if path not in seen.files and not path.startswith(hidden)]
    return Difference(new, changed, gone)


def apply(store: DocumentStore, number: int, found: Difference) -> dict[str, int]:
    """Bring the rows in line with the disk: new and changed files wait to be read, renamed ones keep all they have.

    Returns {"new", "changed", "renamed", "deleted"}; deleted ones are out of the database, `wipe` takes their traces.
    """
    renamed = _renamed(found)
    moved = {row["id"] for row, _ in renamed}
    arrived = {one.path for _, one in renamed}
    new = [one for one in found.new if one.path not in arrived]
    touched = [(row, one, row["sha256"] != "" and _hash(one) == row["sha256"]) for row, one in found.changed]
    with store.transaction() as db:
        for row, one in renamed:
            _move(db, row, one)
        for one in new:
            insert_file(db, number, one)
        for row, one, same in touched:
            db.execute("UPDATE files SET bytes = ?, mtime_ns = ? WHERE id = ?", (one.bytes, one.mtime_ns, row["id"]))
            if not same:
                db.execute("UPDATE files SET state = 'waiting', sha256 = '', error = NULL WHERE id = ?", [row["id"]])
    gone = delete_files(store, number, [row["id"] for row in found.gone if row["id"] not in moved])
    changed = sum(not same for _, _, same in touched)
    return {"new": len(new), "changed": changed, "renamed": len(renamed), "deleted": gone}


def insert_file(db: Any, number: int, one: OnDisk, sha256: str = "") -> None:
    """A file that waits to be read; one that is there already stays as it is."""
    path = Path(one.path)
    db.execute(
        "INSERT INTO files (collection, folder, path, name, suffix, bytes, mtime_ns, sha256, added)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (collection, path) DO UPDATE"
        " SET folder = COALESCE(excluded.folder, folder)",
        (number, one.folder, one.path, path.name, path.suffix.lower(), one.bytes, one.mtime_ns, sha256, time.time()),
    )


def sha256_of(path: Path) -> str:
    """The hash of a file's bytes, read piece by piece. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _renamed(found: Difference) -> list[tuple[dict[str, Any], OnDisk]]:
    """A file that is gone and a new one of the same size, suffix and content are one that was renamed."""
    by_size: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in found.gone:
        if row["sha256"]:
            by_size.setdefault((row["bytes"], Path(row["path"]).suffix.lower()), []).append(row)
    pairs = []
    for one in found.new:
        candidates = by_size.get((one.bytes, Path(one.path).suffix.lower()), [])
        hashed = _hash(one) if candidates else ""
        match = next((row for row in candidates if row["sha256"] == hashed), None)
        if match is not None:
            candidates.remove(match)
            pairs.append((match, one))
    return pairs


def _hash(one: OnDisk) -> str:
    """ "-" where the file cannot be read: no file has that hash."""
    try:
        return sha256_of(Path(one.path))
    except OSError:
        return "-"


def _move(db: Any, row: dict[str, Any], one: OnDisk) -> None:
    values = (one.path, Path(one.path).name, one.folder, one.mtime_ns, row["id"])
    db.execute("UPDATE files SET path = ?, name = ?, folder = ?, mtime_ns = ? WHERE id = ?", values)


def _walk(root: str, folder: int, seen: Scan, look: Look) -> None:
    waiting = [(root, 0)]
    while waiting:
        place, depth = waiting.pop()
        for entry in _entries(place, seen):
            look()
            reason = _reason(entry, depth)
            if reason:
                seen.leave_out(reason)
            elif entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, depth + 1))
            else:
                _add(entry, folder, seen)


def _entries(place: str, seen: Scan) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            yield from sorted(entries, key=lambda entry: entry.name)
    except OSError:
        seen.unseen.append(place)


def _reason(entry: os.DirEntry[str], depth: int) -> str:
    """Why something in a folder is not read, "" if it is."""
    if entry.name.startswith((".", *LOCKS)) or entry.name in LEFT_OUT:
        return "hidden"
    if entry.is_symlink():
        return "link"  # what it points to is in the folder anyway, or the person did not mean it
    if entry.is_dir(follow_symlinks=False):
        return "deep" if depth >= DEEPEST else ""
    return "" if entry.is_file(follow_symlinks=False) else "special"


def _add(entry: os.DirEntry[str], folder: int, seen: Scan) -> None:
    with contextlib.suppress(OSError):  # it went since it was listed
        info = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(info.st_mode) and _writable_name(entry.path):
            seen.files.setdefault(entry.path, OnDisk(entry.path, info.st_size, info.st_mtime_ns, folder))


def _writable_name(path: str) -> bool:
    """SQLite holds text: a name that is none in the file system's encoding cannot be kept."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _count(store: DocumentStore, number: int) -> int:
    row = store.row("SELECT COUNT(*) AS files FROM files WHERE collection = ?", number)
    return int(row["files"]) if row else 0


def _among(path: str, left_out: set[str]) -> bool:
    return bool(left_out) and path_hash(path) in left_out


def _real(text: str) -> Path:
    from engine.api.folders import home

    path = Path(text).expanduser().absolute()
    try:
        path = path.resolve(strict=True)
        usable = (path.is_dir() or path.is_file()) and _writable_name(str(path))
    except (OSError, RuntimeError):
        usable = False
    if not usable:
        raise UserError("no_such_path", f"There is no {path}.", "Check the path.", path=str(path))
    if path.is_dir() and (home().resolve() == path or path in home().resolve().parents):
        raise UserError(
            "home_inside",
            f"{path} holds Deskside's own data, which would be indexed, too.",
            "Choose a folder inside it.",
            path=str(path),
        )
    return path
