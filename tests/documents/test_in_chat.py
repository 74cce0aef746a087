"""A conversation answered from documents, by the real starter model: citations are kept, deleted ones leave."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_models import smollm2

from engine.api.errors import UserError
from engine.core import Call, Core
from engine.requests import chat as asking
from engine.requests import chats, documents, documents_ask, models

BRIDGE = (
    "# The bridge\n\nThe old bridge over the Tarn was built in 1911 by Ada Lindqvist. It is 412 metres long.\n\n"
    "# The bakery\n\nBakers in Lund keep the dough at 24 degrees for three hours.\n"
)
QUESTION = "When was the old bridge over the Tarn built?"


def call(events: list[dict[str, Any]] | None = None) -> Call:
    return Call(1, (events if events is not None else []).append)


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Core]:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))
    made = Core()
    made.change_settings({"context_size": 2048, "threads": 1})
    models.add(made, call(), path=str(smollm2()))
    yield made
    made.close()


@pytest.fixture
def collection(core: Core, tmp_path: Path) -> str:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "bridge.md").write_text(BRIDGE, encoding="utf-8")
    made = str(documents.create(core, call(), name="Papers")["id"])
    documents.add(core, call(), collection=made, paths=[str(folder)])
    until = time.monotonic() + 60
    while documents.files(core, call(), collection=made, state="indexed")["total"] < 1:
        assert time.monotonic() < until, documents.files(core, call(), collection=made)
        time.sleep(0.1)
    return made


def test_an_answer_keeps_what_it_rests_on(core: Core, collection: str) -> None:
    chat = chats.create(core, call(), documents=[{"collection": collection}])
    (used,) = chat["documents"]
    assert (used["collection"], used["name"], used["files"]) == (collection, "Papers", [])
    events: list[dict[str, Any]] = []
    answer = asking.send(core, call(events), chat=chat["id"], text=QUESTION)["message"]
    assert "1911" in answer["text"]
    assert answer["state"] == "done"
    (cited, *_) = answer["found"]["citations"]
    assert cited["name"] == "bridge.md"
    assert BRIDGE[cited["start"] :].strip()
    assert "1911" in cited["quote"]
    names = [event["event"] for event in events]
    assert names.index("passages") < names.index("token")
    assert json.loads(json.dumps(core.chats.message(answer["id"]))) == answer
    shown = asking.sent(core, call(), message=answer["id"])
    assert "Ada Lindqvist" in shown["prompt"]
    assert QUESTION in shown["prompt"]


def test_what_is_not_there_is_refused_without_a_model(core: Core, collection: str) -> None:
    found = documents_ask.ask(core, call(), collection=collection, question="Who composed the elephant opera?")
    assert found["refused"]
    assert found["sent"] == []
    assert found["hits"] == [] or not found["citations"]


def test_a_scorecard_of_a_collection(core: Core, collection: str) -> None:
    known: list[dict[str, Any]] = [
        {"question": QUESTION, "answer": "1911", "file": "bridge.md"},
        {"question": "Who composed the elephant opera?", "unanswerable": True},
    ]
    steps: list[dict[str, Any]] = []
    card = documents_ask.score(core, call(steps), collection=collection, questions=known)["card"]
    assert (card["contained"], card["cited"], card["refused"], card["recall_1"]) == (1.0, 1.0, 1.0, 1.0)
    assert [step["done"] for step in steps if step["event"] == "step"] == [0, 1]


@pytest.mark.parametrize(
    "chosen", [[{"collection": "nowhere"}], [{"collection": 5}], [{"collection": "x", "files": "a"}]]
)
def test_documents_that_are_not_there_cannot_be_chosen(core: Core, chosen: list[dict[str, Any]]) -> None:
    with pytest.raises(UserError) as caught:
        chats.create(core, call(), documents=chosen)
    assert caught.value.code in ("unknown_collection", "bad_request")
