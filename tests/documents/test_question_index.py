"""Questions that chunks answer, written by a model while nobody else wants it, and found by."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import index_kit
import pytest
from real_models import smollm2

from engine.api.job import Cancelled
from engine.api.messages import Stats
from engine.core import Call, Core
from engine.documents import collection as collections
from engine.documents.aside import AsideWriter
from engine.documents.database import QUESTIONS_FROM, DocumentStore, sql_of
from engine.documents.question_job import Asked, asked_about, lacking, pieces, remove_questions, write_asked
from engine.documents.search import search
from engine.requests import documents, jobs, models

BRIDGE = (
    "The old bridge over the Tarn was built in 1911 by Ada Lindqvist. It is 412 metres long and carries two tracks. "
    "Repairs of the bridge cost 3,400,000 crowns in 1987. The paint is green and comes from Lund every ten years. "
)


class Says:
    """A writer that gives the same pair to every question."""

    size = 4096

    def __init__(self, text: str) -> None:
        self.text = text

    def count(self, text: str) -> int:
        return len(text)

    def write(self, messages: list[dict[str, Any]], max_tokens: int, heard: Callable[[str], None]) -> tuple[str, Stats]:
        return self.text, {}

    def foretold(self, passage: str, question: str) -> float | None:
        return None


def call() -> Call:
    return Call(1, lambda event: None)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentStore]:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    made = DocumentStore()
    yield made
    made.close()


def indexed(store: DocumentStore, folder: Path, texts: dict[str, str]) -> tuple[dict[str, Any], dict[str, int]]:
    """A collection of these files, and the first chunk of each."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    row = index_kit.made(store, folder)
    index_kit.index(row)
    sql = "SELECT files.name, MIN(chunks.id) AS chunk FROM chunks JOIN files ON files.id = chunks.file GROUP BY name"
    return row, {each["name"]: each["chunk"] for each in store.rows(sql)}


def rows_of(store: DocumentStore, number: int) -> list[int]:
    """Ids of questions in the full-text index."""
    sql = sql_of(number, "SELECT rowid AS id FROM {fts} WHERE rowid >= ?")
    return [row["id"] for row in store.rows(sql, QUESTIONS_FROM)]


def test_a_chunk_is_found_by_words_that_only_its_question_has(store: DocumentStore, tmp_path: Path) -> None:
    row, chunks = indexed(store, tmp_path / "docs", {"a.txt": BRIDGE, "b.txt": "Bread rises slowly in Lund."})
    assert search(store, row["id"], "Which viaduct engineer?").hits == []
    asked = [Asked(chunks["a.txt"], ("Which engineer made the viaduct?", "How long is it?"))]
    assert write_asked(store, row["number"], asked) == 2
    (found,) = search(store, row["id"], "Which viaduct engineer?").hits
    assert (found.chunk, found.name) == (chunks["a.txt"], "a.txt")
    assert "viaduct" not in found.text


def test_questions_leave_with_their_chunk(store: DocumentStore, tmp_path: Path) -> None:
    row, chunks = indexed(store, tmp_path / "docs", {"a.txt": BRIDGE, "b.txt": BRIDGE.replace("Tarn", "Loire")})
    for chunk in chunks.values():
        write_asked(store, row["number"], [Asked(chunk, ("Which engineer made the viaduct?",))])
    (tmp_path / "docs" / "a.txt").unlink()
    index_kit.index(row)
    (left,) = store.rows("SELECT chunk FROM questions")
    assert left["chunk"] == chunks["b.txt"]
    assert len(rows_of(store, row["number"])) == 1
    (tmp_path / "docs" / "b.txt").write_text("Something else altogether stands here now.", encoding="utf-8")
    index_kit.index(row)
    assert store.rows("SELECT * FROM questions") == []
    index_kit.check_consistent(store, row["number"])


def test_questions_of_chunks_that_are_gone_are_not_stored(store: DocumentStore, tmp_path: Path) -> None:
    row, chunks = indexed(store, tmp_path / "docs", {"a.txt": BRIDGE})
    done = [Asked(chunks["a.txt"] + 100, ("Where?",)), Asked(chunks["a.txt"], ("How long is the viaduct?",))]
    assert write_asked(store, row["number"], done) == 1
    assert write_asked(store, row["number"], done) == 0, "a chunk that was asked about is not asked again"
    assert len(rows_of(store, row["number"])) == 1


def test_vectors_are_stored_only_if_they_are_of_the_collections_embedder(store: DocumentStore, tmp_path: Path) -> None:
    import numpy as np

    row, chunks = indexed(store, tmp_path / "docs", {"a.txt": BRIDGE, "b.txt": BRIDGE + "More."})
    with store.transaction() as db:
        collections.make_vectors(db, row["number"])
        db.execute("UPDATE collections SET embedder = 'e:1' WHERE number = ?", [row["number"]])
    vectors = np.eye(2, dtype=np.float32)
    write_asked(store, row["number"], [Asked(chunks["a.txt"], ("Who?", "When?"))], "e:1", vectors)
    write_asked(store, row["number"], [Asked(chunks["b.txt"], ("Where?", "Why?"))], "e:2", vectors)
    kept = store.rows(sql_of(row["number"], "SELECT chunk, vector FROM {vec} ORDER BY chunk"))
    owners = [store.row("SELECT chunk, text FROM questions WHERE id = ?", one["chunk"]) for one in kept]
    assert [(one["chunk"], one["text"]) for one in owners if one] == [(chunks["a.txt"], t) for t in ("Who?", "When?")]
    assert np.frombuffer(kept[1]["vector"], np.float16).tolist() == [0.0, 1.0]
    remove_questions(store, row["number"])
    assert store.rows(sql_of(row["number"], "SELECT * FROM {vec}")) == []
    assert store.rows("SELECT * FROM questions") == []
    assert rows_of(store, row["number"]) == []
    assert search(store, row["id"], "old bridge").hits


def test_a_chunk_without_a_good_question_is_asked_about_once(store: DocumentStore, tmp_path: Path) -> None:
    row, chunks = indexed(store, tmp_path / "docs", {"a.txt": BRIDGE})
    assert lacking(store, row["number"])
    asked = asked_about(chunks["a.txt"], "", BRIDGE, Says("I do not know."))
    assert asked.questions == ()
    write_asked(store, row["number"], [asked])
    assert not lacking(store, row["number"])
    assert rows_of(store, row["number"]) == []


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("When was the old bridge built?", "When was the old bridge built?"),
        ("Question: When was the old bridge built?\nAnswer: 1911", "When was the old bridge built?"),
        ("The bridge was built in 1911.", ""),
        ("Who composed the elephant opera of Lisbon?", ""),
        ("When was the old bridge built, " + "the old bridge, " * 20 + "by whom?", ""),
        ("", ""),
    ],
)
def test_only_short_questions_about_the_text_count(written: str, kept: str) -> None:
    assert "".join(asked_about(1, "", BRIDGE[:150], Says(written)).questions) == kept


def test_long_chunks_are_asked_about_in_pieces_of_whole_sentences() -> None:
    cut = pieces("Bridges", BRIDGE * 3)
    assert len(cut) == 3
    assert all(piece.startswith("Bridges\n\n") and piece.endswith(".") for piece in cut)
    joined = " ".join(piece.removeprefix("Bridges\n\n") for piece in cut)
    assert joined.split() == (BRIDGE * 3).split()
    assert pieces("", "short") == ["short"]


def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Core:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))
    made = Core()
    made.change_settings({"context_size": 2048, "threads": 1})
    models.add(made, call(), path=str(smollm2()))
    return made


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Core]:
    made = opened(tmp_path, monkeypatch)
    yield made
    made.close()


def until(true: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def question_jobs(core: Core) -> list[str]:
    return [row["state"] for row in jobs.list_jobs(core, call())["jobs"] if row["kind"] == "questions"]


def test_the_setting_has_questions_written_after_indexing_and_removed(core: Core, tmp_path: Path) -> None:
    folder = index_kit.write_folder(tmp_path / "docs", 2, 2)
    made = documents.create(core, call(), name="Machines", settings={"questions": True})
    documents.add(core, call(), collection=made["id"], paths=[str(folder)])
    until(lambda: question_jobs(core) == ["done"])
    (job,) = (row for row in jobs.list_jobs(core, call())["jobs"] if row["kind"] == "questions")
    assert (job["done"], job["total"], job["unit"], job["text"]) == (2, 2, "chunks", "")
    assert job["result"] is not None
    assert job["result"]["chunks"] == 2
    number = collections.number_of(core.documents.store, made["id"])
    asked = core.documents.store.rows("SELECT text FROM questions")
    assert len({row["text"] for row in asked if row["text"]}) <= len(asked)
    assert len(rows_of(core.documents.store, number)) == sum(bool(row["text"]) for row in asked)
    documents.update(core, call(), collection=made["id"], values={"questions": False})
    assert core.documents.store.rows("SELECT * FROM questions") == []
    assert question_jobs(core) == []


def test_the_job_waits_while_somebody_uses_a_model_and_can_be_paused(core: Core, tmp_path: Path) -> None:
    folder = index_kit.write_folder(tmp_path / "docs", 3, 2)
    made = documents.create(core, call(), name="Machines")
    documents.add(core, call(), collection=made["id"], paths=[str(folder)])
    until(lambda: documents.files(core, call(), collection=made["id"], state="indexed")["total"] == 3)
    with core.residents.use(smollm2_id(core), lambda done: None, threading.Event()):
        documents.update(core, call(), collection=made["id"], values={"questions": True})
        until(lambda: question_jobs(core) == ["running"])
        time.sleep(0.5)
        assert core.documents.store.rows("SELECT * FROM questions") == []
        (job,) = (row["job"] for row in jobs.list_jobs(core, call())["jobs"] if row["kind"] == "questions")
        jobs.pause(core, call(), job=job)
        until(lambda: question_jobs(core) == ["interrupted"])
    jobs.resume(core, call(), job=job)
    until(lambda: question_jobs(core) == ["done"])
    assert len({row["chunk"] for row in core.documents.store.rows("SELECT chunk FROM questions")}) == 3


def test_an_engine_that_ends_leaves_the_job_to_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    core = opened(tmp_path, monkeypatch)
    try:
        folder = index_kit.write_folder(tmp_path / "docs", 2, 2)
        made = documents.create(core, call(), name="Machines", settings={"questions": True})
        documents.add(core, call(), collection=made["id"], paths=[str(folder)])
        until(lambda: question_jobs(core) == ["running"])
    finally:
        core.close()
    following = Core()
    try:
        assert question_jobs(following) == ["interrupted"]
        until(lambda: question_jobs(following) == ["done"])
        asked = following.documents.store.rows("SELECT DISTINCT chunk FROM questions")
        assert len(asked) == 2
    finally:
        following.close()


def smollm2_id(core: Core) -> str:
    return next(str(row["id"]) for row in models.list_models(core, call())["models"] if row["installed"])


def test_a_turn_is_given_up_at_once_and_taken_again(core: Core) -> None:
    stopped, model = threading.Event(), smollm2_id(core)
    heard: list[str] = []
    enough = threading.Event()

    def hear(piece: str) -> None:
        heard.append(piece)
        if len(heard) == 3:
            enough.set()

    writer = AsideWriter(core, model, stopped)
    written: list[str] = []
    chat = [{"role": "user", "content": "Count from one to a hundred in words."}]
    thread = threading.Thread(target=lambda: written.append(writer.write(chat, 24, hear)[0]))
    thread.start()
    assert enough.wait(60)
    with core.residents.use(model, lambda done: None, threading.Event()) as resident:
        until(lambda: resident.users == 1)
        so_far = len(heard)
        time.sleep(0.3)
        assert len(heard) == so_far, "nothing is written while somebody else has the model"
        assert written == []
    thread.join(60)
    assert written
    assert "".join(heard).endswith(written[0]), "it began again from the beginning"


def test_a_stopped_writer_ends_while_it_waits(core: Core) -> None:
    stopped, model = threading.Event(), smollm2_id(core)
    ended: list[type[BaseException]] = []

    def write() -> None:
        try:
            AsideWriter(core, model, stopped).write([{"role": "user", "content": "Hi"}], 8, lambda piece: None)
        except Cancelled as error:
            ended.append(type(error))

    with core.residents.use(model, lambda done: None, threading.Event()):
        thread = threading.Thread(target=write)
        thread.start()
        stopped.set()
        thread.join(10)
    assert ended == [Cancelled]
