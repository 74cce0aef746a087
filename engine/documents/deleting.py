"""Files and collections deleted for good: no byte of what they held stays in the data folder, and it can be proved."""

from __future__ import annotations

import mmap
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.documents.collection import changed
from engine.documents.database import DocumentStore, sql_of
from engine.documents.prepare import CJK_RUN, prepared
from engine.documents.writing import forget_chunks

AT_ONCE = 200  # files a transaction, so that nobody waits long for the write lock
SHORTEST = 8  # bytes of a needle: what is shorter stands in other files by chance
TRIES, PAUSE_S = 20, 0.5
SAMPLES, SAMPLE_CHARS = 20, 40


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


def delete_collection(store: DocumentStore, number: int) -> None:
    """A collection with all it holds; `wipe` afterwards takes the traces."""
    delete_files(store, number, [row["id"] for row in store.rows("SELECT id FROM files WHERE collection = ?", number)])
    with store.transaction() as db:
        db.execute("DELETE FROM folders WHERE collection = ?", [number])
        db.execute("DELETE FROM collections WHERE number = ?", [number])
        db.execute(sql_of(number, "DROP TABLE IF EXISTS {fts}"))
        db.execute(sql_of(number, "DROP TABLE IF EXISTS {vec}"))


def wipe(store: DocumentStore, numbers: Iterable[int] = ()) -> None:
    """Take what deleted rows left behind: words in FTS5's segments, free pages, the write-ahead log.

    `numbers` are the collections that still are and lost something. Raises UserError database_in_use.
    """
    for number in numbers:
        with store.transaction() as db:
            db.execute(sql_of(number, "INSERT INTO {fts}({fts}) VALUES ('optimize')"))
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


def prove_deleted(home: Path, needles: Iterable[str], sha256s: Iterable[str] = ()) -> Proof:
    """Search every file of the data folder for the bytes of texts: as they are and as the index would hold them.

    `sha256s` are hashes of files: found where a file has that content or names that hash.
    """
    forms = {form: text for text in needles for form in _forms(text)}
    hashes = {text.lower() for text in sha256s}
    forms |= {text.encode(): text for text in hashes}
    found: list[dict[str, Any]] = []
    searched: list[str] = []
    unread: list[str] = []
    total = 0
    for path in _files(home):
        name = path.relative_to(home).as_posix()
        try:
            size = path.stat().st_size
            found += [{"file": name, **hit} for hit in _hits(path, size, forms, hashes)]
        except OSError:
            unread.append(name)
            continue
        searched.append(name)
        total += size
    return Proof(found, searched, unread, total, len(forms))


def _forms(text: str) -> Iterator[bytes]:
    """The bytes a text may stand there as: UTF-8, UTF-16, JSON's escapes, and as words of the index."""
    words = text.strip()
    ready = prepared(words).strip()
    once = (words, ready, " ".join(ready.split()), words.encode("unicode_escape").decode("ascii"))
    raw = [form.encode("utf-8", "replace") for form in once]
    raw += [words.encode(code, "replace") for code in ("utf-16-le", "gb18030")]
    if CJK_RUN.search(words):
        raw += [run.group().encode() for run in CJK_RUN.finditer(words)]
    yield from {form for form in raw if len(form) >= SHORTEST}


def _files(home: Path) -> Iterator[Path]:
    return (path for path in sorted(home.rglob("*")) if path.is_file() and not path.is_symlink())


def _hits(path: Path, size: int, forms: dict[bytes, str], hashes: set[str]) -> Iterator[dict[str, Any]]:
    """Where each needle stands first in a file."""
    if not size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for form, text in forms.items():
            at = data.find(form)
            if at >= 0:
                yield {"offset": at, "text": text}
        if hashes and _sha256(data) in hashes:
            yield {"offset": 0, "text": _sha256(data)}


def _sha256(data: mmap.mmap) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()
