"""Adapters of a conversation: chosen, stored, spoken with, and compared with the bare model in one request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_adapter
from completion_kit import core_with, model_id
from real_models import smollm2

from engine.completions.using import using
from engine.core import Call, Core
from engine.service import answer

GREEDY = {"temperature": 0, "max_tokens": 12}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Core, Path]]:
    home = tmp_path_factory.mktemp("chosen")
    pirate = tiny_adapter.write(home / "pirate-lora.gguf", smollm2(), strength=1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESKSIDE_HOME", str(home))
        with core_with(smollm2(), pirate) as made:
            yield made, home


@pytest.fixture
def core(place: tuple[Core, Path], home: Path, monkeypatch: pytest.MonkeyPatch) -> Core:
    monkeypatch.setenv("DESKSIDE_HOME", str(place[1]))
    return place[0]


@pytest.fixture
def adapter(core: Core) -> str:
    return model_id("pirate")


def ask(core: Core, name: str, heard: list[dict[str, Any]] | None = None, **params: Any) -> Any:
    """The result of a request, or the error's code."""
    call = Call(1, (heard if heard is not None else []).append)
    outcome = answer(core, name, params, call)
    return outcome["result"] if "result" in outcome else outcome["error"]["code"]


def new_chat(core: Core, **values: Any) -> str:
    return str(ask(core, "chats.create", model=model_id("smollm2"), sampling=GREEDY, **values)["id"])


def test_chosen_adapters_are_stored_with_their_names(core: Core, adapter: str) -> None:
    chat = new_chat(core, adapters=[{"id": adapter}])
    use = {"id": adapter, "name": "pirate-lora", "scale": 1.0}
    assert ask(core, "chats.get", chat=chat)["chat"]["adapters"] == [use]
    assert ask(core, "chats.update", chat=chat, adapters=[use | {"scale": 0.5}])["adapters"] == [use | {"scale": 0.5}]
    assert ask(core, "chats.update", chat=chat, title="Arr")["adapters"] == [use | {"scale": 0.5}]
    assert ask(core, "chats.update", chat=chat, adapters=[])["adapters"] == []


def test_an_adapter_changes_the_answer_and_the_record_says_so(core: Core, adapter: str) -> None:
    chat = new_chat(core)
    plain = ask(core, "chat.send", chat=chat, text="Tell me of the sea.")["message"]
    assert plain["state"] == "done" and "adapters" not in plain["sent"]
    ask(core, "chats.update", chat=chat, adapters=[{"id": adapter}])
    spoken = ask(core, "chat.regenerate", message=plain["id"])["message"]
    assert spoken["text"] != plain["text"]
    assert [use["id"] for use in spoken["sent"]["adapters"]] == [adapter]
    ask(core, "chats.update", chat=chat, adapters=[])
    assert ask(core, "chat.regenerate", message=plain["id"])["message"]["text"] == plain["text"]


def test_a_likelihood_is_the_bare_models_and_changes_nothing(core: Core, adapter: str) -> None:
    def likely() -> float:
        with using(core, model_id("smollm2"), threading.Event()) as model:
            return model.likelihood("The capital of France is", " Paris", threading.Event())

    before, chat = likely(), new_chat(core, adapters=[{"id": adapter}])
    spoken = ask(core, "chat.send", chat=chat, text="Tell me of the sea.")["message"]
    assert likely() == pytest.approx(before, abs=0.01), "the adapter is not asked"
    assert ask(core, "chat.regenerate", message=spoken["id"])["message"]["text"] == spoken["text"]
    plain = ask(core, "chat.send", chat=new_chat(core), text="Tell me of the sea.")["message"]
    assert plain["text"] != spoken["text"]


def test_an_answer_goes_on_with_the_adapters_it_began_with(core: Core, adapter: str) -> None:
    chat = new_chat(core, adapters=[{"id": adapter}])
    first = ask(core, "chat.send", chat=chat, text="Tell me of the sea.")["message"]
    ask(core, "chats.update", chat=chat, adapters=[])
    longer = ask(core, "chat.continue", message=first["id"])["message"]
    assert longer["text"].startswith(first["text"]) and longer["sent"]["adapters"][0]["id"] == adapter


def test_one_request_answers_without_and_with_the_adapters(core: Core, adapter: str) -> None:
    chat = new_chat(core, adapters=[{"id": adapter}])
    old = ask(core, "chat.send", chat=chat, text="Tell me of the sea.")["message"]
    heard: list[dict[str, Any]] = []
    without, spoken = ask(core, "chat.compare", heard, message=old["id"])["messages"]
    assert without["parent"] == spoken["parent"] == old["parent"]
    assert without["sent"]["adapters"] == [] and spoken["sent"]["adapters"][0]["id"] == adapter
    assert without["text"] != spoken["text"] == old["text"]
    tree = ask(core, "chats.get", chat=chat)
    assert tree["path"][-1] == spoken["id"] and len(tree["messages"]) == 4
    told = [(event["event"], event["message"]["id"]) for event in heard if event["event"] in ("message", "answer")]
    assert told == [(kind, m["id"]) for m in (without, spoken) for kind in ("message", "answer")]


def test_what_is_left_to_chance_is_drawn_with_one_seed(core: Core, adapter: str) -> None:
    chat = new_chat(core, adapters=[{"id": adapter, "scale": 0.0}])
    ask(core, "chats.update", chat=chat, sampling={"temperature": 1.5, "max_tokens": 16})
    old = ask(core, "chat.send", chat=chat, text="Tell me of the sea.")["message"]
    without, spoken = ask(core, "chat.compare", message=old["id"])["messages"]
    assert without["text"] == spoken["text"] != "", "an adapter at nothing changes nothing, so chance must not either"
    assert ask(core, "chats.get", chat=chat)["chat"]["sampling"] == {"temperature": 1.5, "max_tokens": 16}


def test_stopping_ends_both(core: Core, adapter: str) -> None:
    chat = new_chat(core, adapters=[{"id": adapter}])
    old = ask(core, "chat.send", chat=chat, text="Tell me of the sea.")["message"]
    stop = threading.Event()
    call = Call(1, lambda event: stop.set() if event["event"] == "token" else None)
    call.cancelled = stop
    (only,) = answer(core, "chat.compare", {"message": old["id"]}, call)["result"]["messages"]
    assert only["state"] == "stopped"
    assert len(ask(core, "chats.get", chat=chat)["messages"]) == 3


def test_comparing_needs_an_answer_and_an_adapter(core: Core, adapter: str) -> None:
    chat = new_chat(core)
    old = ask(core, "chat.send", chat=chat, text="Hello.")["message"]
    assert ask(core, "chat.compare", message=old["id"]) == "nothing_to_compare"
    assert ask(core, "chat.compare", message=old["parent"]) == "not_an_answer"


def test_a_draft_is_read_with_the_adapters_of_its_conversation(core: Core, adapter: str) -> None:
    chat = new_chat(core, adapters=[{"id": adapter}])
    ask(core, "chat.send", chat=chat, text="Tell me of the sea.")
    assert ask(core, "chat.draft", chat=chat, text="And of the shore?")["read"] > 0
    done = ask(core, "chat.send", chat=chat, text="And of the shore?")["message"]
    assert done["stats"]["reused_tokens"] > done["stats"]["prompt_tokens"] - 8
    new: dict[str, Any] = {"chat": "", "text": "Of ships", "model": model_id("smollm2")}
    assert ask(core, "chat.draft", **new, adapters=[{"id": adapter}])["read"] > 0
    assert ask(core, "chat.draft", **new, adapters=[{"id": "none"}]) == "unknown_model"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ([{"id": "nothing-like-it"}], "unknown_model"),
        ([{}], "bad_adapters"),
        ([{"id": 5}], "bad_adapters"),
        ([{"id": "x", "scale": "loud"}], "bad_adapters"),
        ([{"id": "x", "scale": True}], "bad_adapters"),
        ([{"id": "x", "scale": float("inf")}], "bad_adapters"),
        ([{"id": "x", "scale": 1e9}], "bad_adapters"),
        ([{"id": "x", "path": "/etc/passwd"}], "bad_adapters"),
        ([{"id": "x"}, {"id": "x"}], "bad_adapters"),
        ([{"id": str(n)} for n in range(17)], "bad_adapters"),
        (["x"], "bad_request"),
    ],
    ids=str,
)
def test_what_is_no_choice_is_refused_and_changes_nothing(core: Core, wrong: Any, code: str) -> None:
    chat = new_chat(core)
    assert ask(core, "chats.update", chat=chat, title="New", adapters=wrong) == code
    assert ask(core, "chats.get", chat=chat)["chat"]["title"] == ""


def test_a_model_is_no_adapter(core: Core) -> None:
    assert ask(core, "chats.update", chat=new_chat(core), adapters=[{"id": model_id("smollm2")}]) == "no_adapter"
