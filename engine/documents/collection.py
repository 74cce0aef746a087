"""Collections of documents: made, listed, changed, and their settings."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.documents.database import DocumentStore, fts_table, vector_table
from engine.documents.prepare import TOKENIZER

if TYPE_CHECKING:
    from sqlite_utils import Database

# `rerank` "auto" is for who has measured that it helps here: a cross-encoder is slow, and not always better.
# `chunk_tokens` 0 means what the embedder takes at its best; `embedder` "" means the recommended one that is here.
DEFAULTS: dict[str, Any] = {
    "embedder": "",
    "chat_model": "",
    "system": "",
    "rerank": "off",
    "questions": False,
    "chunk_tokens": 0,
}
_CHOICES: dict[str, tuple[str, ...]] = {"rerank": ("auto", "off")}
LONGEST_NAME, LONGEST_TEXT = 200, 20_000
FEWEST_TOKENS, MOST_TOKENS = 32, 8192

_COUNTS = """
    SELECT collections.*, COUNT(files.id) AS files, COALESCE(SUM(files.state = 'indexed'), 0) AS indexed,
        COALESCE(SUM(files.state = 'failed'), 0) AS failed, COALESCE(SUM(files.state = 'waiting'), 0) AS waiting,
        COALESCE(SUM(files.state = 'skipped'), 0) AS skipped, COALESCE(SUM(files.pages), 0) AS pages,
        COALESCE(SUM(files.bytes), 0) AS bytes,
        (SELECT COUNT(*) FROM chunks WHERE chunks.collection = collections.number) AS chunks
    FROM collections LEFT JOIN files ON files.collection = collections.number"""
_COUNTED = ("id", "name", "files", "indexed", "failed", "waiting", "skipped", "pages", "chunks", "bytes")
_SHOWN = (*_COUNTED, "embedder", "updated", "problem")


def create(store: DocumentStore, name: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """A new, empty collection. Raises UserError bad_collection_name, collection_exists, bad_collection_setting."""
    wanted = _checked_name(store, name)
    merged = DEFAULTS | _checked_settings(settings or {})
    identity, now = uuid.uuid4().hex, time.time()
    with store.transaction() as db:
        row = (identity, wanted, json.dumps(merged, ensure_ascii=False), now, now)
        number = db.execute(
            "INSERT INTO collections (id, name, settings, created, updated) VALUES (?, ?, ?, ?, ?)", row
        ).lastrowid
        make_fts(db, int(number or 0))
    return get(store, identity)


def make_fts(db: Database, number: int) -> None:
    """An empty full-text index for a collection that has none."""
    db.execute(f"CREATE VIRTUAL TABLE {fts_table(number)} USING fts5(prepared, tokenize = '{TOKENIZER}')")


def make_vectors(db: Database, number: int) -> None:
    """An empty table of vectors for a collection, in the place of the one it had."""
    db.execute(f"DROP TABLE IF EXISTS {vector_table(number)}")
    db.execute(f"CREATE TABLE {vector_table(number)} (chunk INTEGER PRIMARY KEY, vector BLOB NOT NULL)")


def has_vectors(store: DocumentStore, number: int) -> bool:
    """Whether the collection has a table of vectors."""
    return store.row("SELECT 1 FROM sqlite_master WHERE name = ?", vector_table(number)) is not None


def listed(store: DocumentStore) -> list[dict[str, Any]]:
    """All collections by name, as `docs.collections` gives them."""
    return [_shown(row) for row in store.rows(_COUNTS + " GROUP BY collections.number ORDER BY name COLLATE NOCASE")]


def get(store: DocumentStore, collection: str) -> dict[str, Any]:
    """One collection by its id or its name, as `docs.collections` gives it. Raises UserError unknown_collection."""
    number = number_of(store, collection)
    row = store.row(_COUNTS + " WHERE collections.number = ? GROUP BY collections.number", number)
    if row is None:
        raise _unknown(collection)
    return _shown(row)


def number_of(store: DocumentStore, collection: str) -> int:
    """The number of a collection, told by its id or its name. Raises UserError unknown_collection."""
    return int(row_of(store, collection)["number"])


def row_of(store: DocumentStore, collection: str) -> dict[str, Any]:
    """The row of a collection, `settings` decoded and complete. Raises UserError unknown_collection."""
    sql = "SELECT * FROM collections WHERE id = ? OR name = ? ORDER BY id = ? DESC"
    row = store.row(sql, collection, collection.strip(), collection)
    if row is None:
        raise _unknown(collection)
    return row | {"settings": DEFAULTS | json.loads(row["settings"])}


def update(store: DocumentStore, collection: str, values: dict[str, Any]) -> dict[str, Any]:
    """Change the name or settings: {"name"?, and any setting}. Other settings stay as they are. Raises UserError."""
    row = row_of(store, collection)
    name = values.get("name", row["name"])
    if name != row["name"]:
        name = _checked_name(store, name, row["id"])
    settings = row["settings"] | _checked_settings({k: v for k, v in values.items() if k != "name"})
    with store.transaction() as db:
        db.execute(
            "UPDATE collections SET name = ?, settings = ?, updated = ? WHERE number = ?",
            (name, json.dumps(settings, ensure_ascii=False), time.time(), row["number"]),
        )
    return get(store, row["id"])


def changed(db: Database, number: int) -> None:
    """Say, inside the transaction that writes, that what is found in a collection is another now."""
    db.execute("UPDATE collections SET version = version + 1, updated = ? WHERE number = ?", (time.time(), number))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN} | {"settings": DEFAULTS | json.loads(row["settings"])}


def _checked_name(store: DocumentStore, name: object, own: str = "") -> str:
    wanted = " ".join(name.split()) if isinstance(name, str) else ""
    if not wanted or len(wanted) > LONGEST_NAME or not wanted.isprintable():
        raise UserError(
            "bad_collection_name",
            f"A collection's name has 1 to {LONGEST_NAME} characters.",
            "Choose another name.",
            most=LONGEST_NAME,
        )
    taken = store.row("SELECT 1 FROM collections WHERE (name = ? OR id = ?) AND id <> ?", wanted, wanted, own)
    if taken:
        raise UserError(
            "collection_exists", f"There is a collection {wanted!r} already.", "Choose another name.", name=wanted
        )
    return wanted


def _checked_settings(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if name not in DEFAULTS or not _fits(name, value):
            raise UserError(
                "bad_collection_setting",
                f"The setting {name!r} of a collection cannot be {str(value)[:60]!r}.",
                "Choose another value.",
                name=name,
                value=str(value)[:60],
            )
    return values


def _fits(name: str, value: object) -> bool:
    if type(value) is not type(DEFAULTS[name]):
        return False
    if name in _CHOICES:
        return value in _CHOICES[name]
    if isinstance(value, int) and not isinstance(value, bool):
        return value == 0 or FEWEST_TOKENS <= value <= MOST_TOKENS
    return not isinstance(value, str) or len(value) <= LONGEST_TEXT


def _unknown(collection: str) -> UserError:
    return UserError(
        "unknown_collection",
        f"There is no collection {collection[:LONGEST_NAME]!r}.",
        "Look at the list of collections.",
        name=collection[:LONGEST_NAME],
    )
