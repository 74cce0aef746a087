"""Files and collections deleted for good: no byte of what they held stays in the data folder, and it can be proved."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from engine.api.errors import UserError
from engine.documents.collection import changed
from engine.documents.database import DocumentStore, sql_of
from engine.documents.prepare import CJK_RUN, prepared
from engine.documents.stale_words import merge
from engine.documents.writing import forget_chunks

AT_ONCE = 200  # files a transaction, so that nobody waits long for the write lock
SHORTEST = 8  # bytes of a needle: what is shorter stands in other files by chance
TRIES, PAUSE_S = 20, 0.5
SAMPLES, SAMPLE_CHARS = 20, 40
LONG_RUN = 6  # characters of Chinese that nobody else writes by chance
PIECE = 8 << 20
Step = Callable[[int, int], object]


def delete_files(store: DocumentStore, number: int, files: Iterable[int]) -> int:
    """The rows of files and of all that was made of them; `wipe` afterwards takes their traces. Returns how many."""
    ids = list(files)
    for first in range(0, len(ids), AT_ONCE):
        with store.transaction() as db:
            for file in ids[first : first + AT_ONCE]:
                forget_chunks(db, number, file)
                db.execute("DELETE FROM texts WHERE file = ?", [file])
                db.execute("DELETE FROM files WHERE id = ? AND collection = ?", (file, number))
            changed(db, number)
    return len(ids)


def leave_out(store: DocumentStore, number: int, files: Iterable[int]) -> None:
    """Files of watched folders that are about to be deleted from a collection do not come back at the next look."""
    with store.transaction() as db:
        for file in files:
            row = db.execute("SELECT path FROM files WHERE id = ? AND collection = ?", (file, number)).fetchone()
            if row:
                db.execute("INSERT OR IGNORE INTO left_out VALUES (?, ?)", (number, path_hash(row[0])))


def path_hash(path: str) -> str:
    """How a path is remembered that must not be told any more."""
    return hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()


def delete_collection(store: DocumentStore, number: int) -> None:
    """A collection with all it holds; `wipe` afterwards takes the traces."""
    delete_files(store, number, [row["id"] for row in store.rows("SELECT id FROM files WHERE collection = ?", number)])
    with store.transaction() as db:
        db.execute("DELETE FROM folders WHERE collection = ?", [number])
        db.execute("DELETE FROM left_out WHERE collection = ?", [number])
        db.execute("DELETE FROM collections WHERE number = ?", [number])
        db.execute(sql_of(number, "DROP TABLE IF EXISTS {fts}"))
        db.execute(sql_of(number, "DROP TABLE IF EXISTS {vec}"))


def wipe(store: DocumentStore, numbers: Iterable[int] = ()) -> None:
    """Take what deleted rows left behind: words in FTS5's segments, free pages, the write-ahead log.

    `numbers` are the collections that still are and lost something. Raises UserError database_in_use.
    """
    for number in numbers:
        merge(store, number)
    for _ in range(TRIES):
        if store.fold():
            return
        time.sleep(PAUSE_S)
    raise UserError(
        "database_in_use",
        "It is deleted, but traces stay in the log of the database while another process reads it.",
        "Try again in a moment.",
    )


def passages(text: str, seed: int = 0) -> list[str]:
    """Some distinctive pieces of a text, to be looked for after it was deleted."""
    flat = [line.strip() for line in text.splitlines() if len(line.strip()) >= SHORTEST]
    drawn = random.Random(seed).sample(flat, min(SAMPLES, len(flat)))
    return [line[:SAMPLE_CHARS] for line in drawn]


@dataclass(frozen=True)
class Proof:
    """`found`: where a needle still stands; `searched`: files of the data folder, `bytes` of them together."""

    found: list[dict[str, Any]]
    searched: list[str]
    unread: list[str]
    bytes: int
    needles: int


def prove_deleted(
    home: Path, needles: Iterable[str], sha256s: Iterable[str] = (), step: Step = lambda done, total: None
) -> Proof:
    """Search every file of the data folder for the bytes of texts: as they are and as the index would hold them.

    `sha256s` are hashes of files: found where a file has that content or names that hash. `step(done, total)` is told
    bytes, and may raise to end it. Raises UserError nothing_to_search if no text is long enough to be looked for.
    """
    hashes = {text.strip().lower() for text in sha256s}
    forms = {form: text for text in needles for form in _forms(text)} | {text.encode(): text for text in hashes if text}
    if not forms:
        raise UserError(
            "nothing_to_search", f"There is no text of {SHORTEST} bytes or more to look for.", "Give a longer passage."
        )
    paths = [(path, path.relative_to(home).as_posix()) for path in _files(home)]
    sizes = {name: path.stat().st_size for path, name in paths if path.exists()}
    search = _Search(forms, hashes, sum(sizes.values()), step)
    for path, name in paths:
        search.look(path, name)
    return Proof(search.found, search.searched, search.unread, search.done, len(forms))


class _Search:
    """A look through files, one after the other."""

    def __init__(self, forms: dict[bytes, str], hashes: set[str], total: int, step: Step) -> None:
        self._forms, self._hashes, self._total, self._step = forms, hashes, total, step
        self._overlap = max(map(len, forms)) - 1
        self.found: list[dict[str, Any]] = []
        self.searched: list[str] = []
        self.unread: list[str] = []
        self.done = 0

    def look(self, path: Path, name: str) -> None:
        """Where each needle stands first in a file."""
        try:
            with path.open("rb") as file:
                self.found += [{"file": name, **hit} for hit in self._hits(file)]
        except FileNotFoundError:
            return  # it went since it was listed
        except OSError:
            self.unread.append(name)
        else:
            self.searched.append(name)

    def _hits(self, file: BinaryIO) -> Iterator[dict[str, Any]]:
        left, at, tail = dict(self._forms), 0, b""
        hashed = hashlib.sha256()
        while piece := file.read(PIECE):
            hashed.update(piece)
            window = tail + piece
            for form in [form for form in left if form in window]:
                yield {"offset": at - len(tail) + window.index(form), "text": left.pop(form)}
            tail = window[-self._overlap :] if self._overlap else b""
            at += len(piece)
            self.done += len(piece)
            self._step(self.done, max(self.done, self._total))
        if hashed.hexdigest() in self._hashes:
            yield {"offset": 0, "text": hashed.hexdigest()}


def _forms(text: str) -> Iterator[bytes]:
    """The bytes a text may stand there as: UTF-8, UTF-16, JSON's escapes, and as words of the index."""
    words = text.strip()
    ready = prepared(words).strip()
    once = (words, ready, " ".join(ready.split()), words.encode("unicode_escape").decode("ascii"))
    raw = [form.encode("utf-8", "replace") for form in once]
    raw += [words.encode(code, "replace") for code in ("utf-16-le", "gb18030")]
    raw += [run.group().encode() for run in CJK_RUN.finditer(words) if len(run.group()) >= LONG_RUN]
    yield from {form for form in raw if len(form) >= SHORTEST}


def _files(home: Path) -> Iterator[Path]:
    return (path for path in sorted(home.rglob("*")) if path.is_file() and not path.is_symlink())
