"""The index job: real files, a real process, kill -9 in its midst, other embedders, and files that cannot be read."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from index_kit import check_consistent, end_of, found, index, made, start_job, states, write_folder
from minilm_gguf import tiny_bert, write

from engine.documents import collection as collections
from engine.documents.corpus import import_corpus
from engine.documents.database import DocumentStore, sql_of
from models import registry


@pytest.fixture
def store(home: Path) -> Iterator[DocumentStore]:
    opened = DocumentStore()
    yield opened
    opened.close()


def embedder(tmp_path: Path, name: str, width: int, seed: int) -> str:
    """The id of a tiny embedder, installed."""
    model = tiny_bert(width=width, seed=seed)
    model.name = name
    return registry.add_file(write(model, tmp_path / f"{name}.gguf"))[0].id


def wait_for(true: Callable[[], bool], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def test_files_become_findable_in_both_languages(store: DocumentStore, tmp_path: Path) -> None:
    row = made(store, write_folder(tmp_path / "in", 12))
    events: list[dict[str, object]] = []
    result = index(row, events)
    assert (result["indexed"], result["failed"], result["chunks"]) == (12, 0, 12)
    assert found(store, row["number"], "number7x") == ["machine0007.txt"]
    assert found(store, row["number"], "weighing") == [f"machine{n:04}.txt" for n in range(12)]  # stemmed
    assert len(found(store, row["number"], "机器")) == 12
    check_consistent(store, row["number"])
    shown = collections.get(store, row["id"])
    assert (shown["indexed"], shown["waiting"], shown["chunks"], shown["problem"]) == (12, 0, 12, "no_embedder")
    steps = [event for event in events if event["event"] == "step"]
    assert {event["unit"] for event in steps} == {"files"}
    assert [event["done"] for event in steps] == sorted(event["done"] for event in steps)  # type: ignore[type-var]


def test_one_bad_file_is_told_and_the_rest_goes_on(store: DocumentStore, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    (folder / "aa.pdf").write_bytes(b"%PDF-1.7\nnothing that follows is a PDF")
    (folder / "machine0000.zzz").write_bytes(bytes(range(256)) * 20)
    (folder / "empty.txt").write_bytes(b"")
    (folder / "locked.txt").write_text("nobody may read this", encoding="utf-8")
    row = made(store, folder)
    (folder / "locked.txt").unlink()
    (folder / "locked.txt").mkdir()  # it was a file when it was added
    result = index(row)
    assert result["indexed"] == 4
    rows = {one["name"]: one for one in store.rows("SELECT * FROM files")}
    assert (rows["aa.pdf"]["state"], rows["machine0000.zzz"]["state"]) == ("failed", "skipped")
    assert json.loads(rows["aa.pdf"]["error"])["code"] == "unreadable_document"
    assert json.loads(rows["machine0000.zzz"]["error"])["code"] == "unsupported_document"
    assert rows["empty.txt"]["state"] == "indexed"
    assert "locked.txt" not in rows
    check_consistent(store, row["number"])


def test_a_file_that_became_bad_keeps_nothing_of_its_past(store: DocumentStore, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 2)
    (folder / "note.pdf").write_text("A text about pelicans, whatever its name says.", encoding="utf-8")
    (folder / "note.md").write_text("A text about pelicans.", encoding="utf-8")
    row = made(store, folder)
    index(row)
    assert found(store, row["number"], "pelicans")[0] == "note.md"
    (folder / "note.md").write_bytes(b"\x00\x01\x02\xff" * 2000)
    index(row)
    assert "note.md" not in found(store, row["number"], "pelicans")
    check_consistent(store, row["number"])


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_in_its_midst_it_goes_on_with_what_waits(store: DocumentStore, tmp_path: Path) -> None:
    row = made(store, write_folder(tmp_path / "in", 250))
    for kill_at in (1, 120):
        process = start_job(row)
        wait_for(lambda least=kill_at: states(store, row["number"]).get("indexed", 0) >= least)  # type: ignore[misc]
        os.kill(process.pid, signal.SIGKILL)
        assert end_of(process) == {}
        assert process.returncode == -signal.SIGKILL
        check_consistent(store, row["number"])
        assert states(store, row["number"])["waiting"] > 0
    before = {one["id"]: one["indexed"] for one in store.rows("SELECT * FROM files WHERE state = 'indexed'")}
    end = end_of(start_job(row))
    assert end["state"] == "done"
    assert end["result"]["indexed"] == 250 - len(before)
    after = {one["id"]: one["indexed"] for one in store.rows("SELECT * FROM files")}
    assert all(after[key] == when for key, when in before.items())  # nothing is done twice
    assert states(store, row["number"]) == {"indexed": 250}
    check_consistent(store, row["number"])


def test_files_added_while_it_runs_are_taken(store: DocumentStore, tmp_path: Path) -> None:
    from engine.documents.sync import add_paths

    row = made(store, write_folder(tmp_path / "in", 200))
    process = start_job(row)
    wait_for(lambda: states(store, row["number"]).get("indexed", 0) >= 1)
    add_paths(store, row["number"], [str(write_folder(tmp_path / "late", 5))])
    assert end_of(process)["state"] == "done"
    assert states(store, row["number"]) == {"indexed": 205}


def test_it_stops_when_asked(store: DocumentStore, tmp_path: Path) -> None:
    row = made(store, write_folder(tmp_path / "in", 300))
    process = start_job(row)
    wait_for(lambda: states(store, row["number"]).get("indexed", 0) >= 1)
    assert process.stdin
    process.stdin.close()
    assert process.wait(20) == 3
    assert process.stdout
    process.stdout.close()
    assert states(store, row["number"])["waiting"] > 0
    check_consistent(store, row["number"])


def vectors(store: DocumentStore, number: int) -> np.ndarray:
    rows = store.rows(sql_of(number, "SELECT vector FROM {vec} ORDER BY chunk"))
    return np.stack([np.frombuffer(row["vector"], np.float16) for row in rows]).astype(np.float32)


def test_vectors_are_of_one_embedder_only(store: DocumentStore, tmp_path: Path) -> None:
    small, large = (embedder(tmp_path, *how) for how in (("tiny one", 32, 7), ("tiny two", 48, 8)))
    row = made(store, write_folder(tmp_path / "in", 9, 1), embedder=small)
    first = index(row)
    assert first["embedder"].startswith(small + ":")
    assert vectors(store, row["number"]).shape == (first["chunks"], 32)
    assert np.allclose(np.linalg.norm(vectors(store, row["number"]), axis=1), 1, atol=0.01)
    read = store.rows("SELECT id, sha256 FROM files")
    collections.update(store, row["id"], {"embedder": large})
    second = index(row)
    assert second["embedder"].startswith(large + ":")
    assert second["indexed"] == 9
    assert vectors(store, row["number"]).shape == (second["chunks"], 48)
    assert store.rows("SELECT id, sha256 FROM files") == read
    assert collections.get(store, row["id"])["embedder"] == second["embedder"]
    assert index(row)["indexed"] == 0
    check_consistent(store, row["number"])


def test_an_embedder_that_came_later_embeds_what_is_there(store: DocumentStore, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 4)
    row = made(store, folder)
    assert index(row)["embedder"] == ""
    name = embedder(tmp_path, "tiny one", 32, 7)
    for path in folder.iterdir():
        path.rename(path.with_name("was-" + path.name))  # nothing of it is read again
    result = index(row)
    assert result["embedder"].startswith(name)
    assert len(vectors(store, row["number"])) == result["chunks"] > 0
    assert collections.get(store, row["id"])["problem"] == ""


def test_an_embedder_that_is_gone_leaves_words(store: DocumentStore, tmp_path: Path) -> None:
    row = made(store, write_folder(tmp_path / "in", 2), embedder="not-here")
    events: list[dict[str, object]] = []
    assert index(row, events)["indexed"] == 2
    assert collections.get(store, row["id"])["problem"] == "unknown_model"
    assert [event["level"] for event in events if event["event"] == "note"] == ["warning"]
    assert len(found(store, row["number"], "machine")) == 2


def test_rows_of_a_corpus_are_documents(store: DocumentStore, tmp_path: Path) -> None:
    rows = [{"_id": f"d{n}", "title": f"Title {n}", "text": f"Body number {n}.\n\nSecond part."} for n in range(20)]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    lines += ["no json", "[1, 2]", '{"text": "no id"}', '{"_id": "x", "text": 5}', "", "[" * 5000]
    file = tmp_path / "corpus.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    row = collections.row_of(store, collections.create(store, "Corpus")["id"])
    assert import_corpus(store, row["number"], file) == {"added": 20, "changed": 0, "same": 0, "bad": 5}
    assert index(row)["indexed"] == 20
    assert found(store, row["number"], '"body number 7"') == ["d7"]
    assert store.row("SELECT heading FROM chunks") == {"heading": "Title 0"}
    lines[3] = json.dumps({"_id": "d3", "text": "Another body about pelicans."})
    file.write_text("\n".join(lines[:20]), encoding="utf-8")
    assert import_corpus(store, row["number"], file) == {"added": 0, "changed": 1, "same": 19, "bad": 0}
    assert index(row)["indexed"] == 1
    assert found(store, row["number"], "pelicans") == ["d3"]
    check_consistent(store, row["number"])
