"""What a model is given besides the best passages: whole small documents, a spread over large ones, neighbours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import index_kit
import pytest
from real_models import smollm2

from engine.api.messages import Stats
from engine.core import Call, Core
from engine.documents.ask import Answer, Sources, ask
from engine.documents.database import DocumentStore
from engine.documents.prompting import passage, room_of
from engine.documents.search import Hit, search
from engine.documents.whole import Whole
from engine.documents.wording import weights_in
from engine.requests import chat as asking
from engine.requests import chats, documents, models

CHAPTERS = {
    "The bridge": "The old bridge over the Tarn was built in 1911 by Ada Lindqvist. It is 412 metres long.",
    "The bakery": "Bakers in Lund keep the dough at 24 degrees for three hours. Rye is milled on Mondays.",
    "The harbour": "Eleven cranes unload timber in the harbour of Malmo. The oldest crane is called Greta.",
}


class Said:
    """A writer that gives a prepared answer and keeps what it was asked."""

    def __init__(self, answer: str, size: int) -> None:
        self.answer, self.size = answer, size
        self.asked: list[list[dict[str, Any]]] = []

    def count(self, text: str) -> int:
        return len(text) // 4

    def write(self, messages: list[dict[str, Any]], max_tokens: int, heard: Callable[[str], None]) -> tuple[str, Stats]:
        self.asked.append(messages)
        return self.answer, {"tokens": 5}

    def foretold(self, passage: str, question: str) -> float | None:
        return None

    @property
    def prompt(self) -> str:
        return str(self.asked[-1][1]["content"])


class Unwatched:
    def rewritten(self, question: str) -> None:
        """Not told."""

    def passages(self, hits: list[Hit]) -> None:
        """Not told."""

    def text(self, piece: str) -> None:
        """Not told."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentStore]:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    made = DocumentStore()
    yield made
    made.close()


def collection(store: DocumentStore, folder: Path, texts: dict[str, str]) -> dict[str, Any]:
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    row = index_kit.made(store, folder, chunk_tokens=32)
    index_kit.index(row)
    return row


def asked(
    store: DocumentStore, row: dict[str, Any], question: str, said: Said, files: list[int] | None = None, top: int = 10
) -> Answer:
    chosen = files or []
    sources = Sources(
        lambda text: search(store, row["id"], text, top, {"files": chosen}).hits,
        weights_in(store, row["number"]),
        whole=Whole(store, [(row["number"], chosen)]),
    )
    return ask(question, sources, said, Unwatched())


def guide(many: int = 1) -> str:
    """A document of many chapters, none like another."""
    rows = [
        f"# {name} {n}\n\n{text.replace('.', f' in hall {n}.')}" for n in range(many) for name, text in CHAPTERS.items()
    ]
    return "\n\n".join(rows)


def test_a_small_document_goes_in_whole_in_reading_order(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {"guide.md": guide()})
    said = Said("It was built in 1911. The oldest crane is called Greta in hall 0.", 4096)
    done = asked(store, row, "When was the old bridge over the Tarn built?", said, top=1)
    assert len(done.hits) == 1, "the search found one passage, the others are read all the same"
    order = [said.prompt.index(word) for word in ("1911", "Bakers", "Eleven cranes")]
    assert order == sorted(order)
    text = store.rows("SELECT text FROM texts")[0]["text"]
    assert all(text[one.start : one.end] == one.quote for one in done.citations)
    cited = {one.quote.partition(" in hall")[0] for one in done.citations}
    assert "The oldest crane is called Greta" in cited, "what the search did not find is cited exactly, too"
    assert done.notes == []


def test_only_the_chosen_files_go_in(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {f"{n}.md": f"# {n}\n\n{t}" for n, t in CHAPTERS.items()})
    (bridge,) = store.rows("SELECT id FROM files WHERE name = 'The bridge.md'")
    said = Said("It was built in 1911.", 4096)
    asked(store, row, "When was the old bridge over the Tarn built?", said, [bridge["id"]])
    assert "1911" in said.prompt
    assert "Bakers" not in said.prompt


def test_what_a_small_document_does_not_say_is_still_refused(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {"guide.md": guide()})
    said = Said("An opera.", 4096)
    assert asked(store, row, "Who wrote the elephant opera about Lisbon hunters?", said).refused
    assert said.asked == []


def test_a_large_document_gives_its_best_passages_only(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {"guide.md": guide(40)})
    said = Said("It is called Greta.", 1024)
    asked(store, row, "What is the oldest crane in hall 17 called?", said)
    assert "hall 17" in said.prompt
    assert said.prompt.count("\n[") <= 6
    assert len(said.prompt) // 4 < room_of(said.size) + 100


@pytest.mark.parametrize("question", ["Summarize this document.", "总结一下这份文档的要点"])
def test_a_question_about_a_large_whole_gets_passages_of_all_its_parts(
    store: DocumentStore, tmp_path: Path, question: str
) -> None:
    row = collection(store, tmp_path / "docs", {"guide.md": guide(40)})
    said = Said("Eleven cranes unload timber in the harbour of Malmo.", 1024)
    done = asked(store, row, question, said)
    assert not done.refused
    (note,) = done.notes
    every = len(Whole(store, [(row["number"], [])]))
    assert (note["code"], note["of"]) == ("passages_spread", every)
    assert 3 < note["given"] < every
    halls = [n for n in range(40) if f"hall {n}." in said.prompt]
    assert halls[0] == 0
    assert all(after - before <= 12 for before, after in pairwise(halls))
    assert halls[-1] >= 30
    assert len(said.prompt) // 4 < room_of(said.size) + 60


def test_a_question_about_a_small_whole_needs_no_words_of_it(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {"guide.md": guide()})
    said = Said("Eleven cranes unload timber in the harbour of Malmo.", 4096)
    done = asked(store, row, "总结一下", said)
    assert not done.refused
    assert done.notes == []
    assert all(word in said.prompt for word in ("1911", "Bakers", "Greta"))


def test_an_empty_collection_says_nothing(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {})
    assert asked(store, row, "Summarize this document.", Said("Nothing.", 4096)).refused


LONG = (
    " ".join(f"Filler sentence number {n} speaks of weather and of cattle near pond {n}." for n in range(60))
    + " The signal master of Vadstena is chosen as follows."
    + " A jury of seven draws a white pebble on the first of May."
    + " ".join(f" Closing sentence number {n} speaks of wool and of ships near pier {n}." for n in range(60))
)


def test_what_stands_beside_a_sentence_at_the_edge_is_read_and_cited(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {"long.txt": LONG})
    (edge,) = store.rows("SELECT * FROM chunks WHERE text LIKE '%signal master%'")
    (beyond,) = store.rows("SELECT * FROM chunks WHERE text LIKE '%white pebble%'")
    if edge["id"] == beyond["id"]:
        pytest.fail("the two sentences are meant to be in two chunks")
    said = Said("A jury of seven draws a white pebble on the first of May.", 1024)
    done = asked(store, row, "How is the signal master of Vadstena chosen?", said, top=1)
    assert [hit.chunk for hit in done.hits] == [edge["id"]]
    assert "white pebble" in said.prompt
    assert said.prompt.index("signal master") < said.prompt.index("white pebble")
    (cited,) = (one for one in done.citations if "pebble" in one.quote)
    assert cited.chunk == beyond["id"]
    assert LONG[cited.start : cited.end] == cited.quote


def test_neighbours_come_only_where_there_is_room(store: DocumentStore, tmp_path: Path) -> None:
    row = collection(store, tmp_path / "docs", {"long.txt": LONG})
    (found,) = search(store, row["id"], "signal master of Vadstena", 1).hits
    least = len(passage(10, found)) // 4 + 1
    said = Said("A jury.", 0)
    said.size = next(size for size in range(200, 2000) if room_of(size) > least)
    asked(store, row, "How is the signal master of Vadstena chosen?", said, top=1)
    assert "signal master" in said.prompt
    assert "pebble" not in said.prompt


def test_what_was_read_without_being_found_leaves_stored_answers_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))
    core, call = Core(), Call(1, lambda event: None)
    try:
        core.change_settings({"context_size": 2048, "threads": 1})
        models.add(core, call, path=str(smollm2()))
        store = core.documents.store
        row = collection(store, tmp_path / "docs", {f"{n}.md": f"# {n}\n\n{t}" for n, t in CHAPTERS.items()})
        chat = chats.create(core, call, documents=[{"collection": row["id"]}])
        asking.send(core, call, chat=chat["id"], text="When was the old bridge over the Tarn built?")
        (kept,) = core.store.rows("SELECT found, sent FROM messages WHERE role = 'assistant'")
        files = {each["name"]: each["id"] for each in store.rows("SELECT id, name FROM files")}
        other = files["The harbour.md"]
        assert "Eleven cranes" in kept["sent"]
        assert other not in [hit["file"] for hit in json.loads(kept["found"])["hits"]]
        documents.delete(core, call, collection=row["id"], files=[other])
        (left,) = core.store.rows("SELECT found, sent FROM messages WHERE role = 'assistant'")
        assert "Eleven cranes" not in left["found"] + left["sent"]
        assert json.loads(left["found"])["citations"] == json.loads(kept["found"])["citations"]
    finally:
        core.close()
