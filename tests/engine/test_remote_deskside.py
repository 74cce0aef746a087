"""A Deskside as the remote model of another: the real engine, its real HTTP server, the real starter model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from desktop.pipe import EnginePipe
from engine.api.errors import UserError
from engine.remotes.vectors import read_vectors

KEY = "a-key-of-the-house"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def far(engine: EnginePipe, smollm2: Path) -> str:
    """The address of a Deskside that serves the starter model."""
    engine.ask("settings.set", values={"context_size": 1024, "threads": 1})
    engine.ask("models.add", path=str(smollm2))
    return str(engine.ask("server.start", port=0, api_key=KEY)["address"])


@pytest.fixture
def near(far: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EnginePipe]:
    """Another engine, with a home of its own and no model."""
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "near"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with EnginePipe() as pipe:
        yield pipe


def test_one_deskside_answers_for_another(near: EnginePipe, far: str, engine: EnginePipe) -> None:
    with pytest.raises(UserError) as caught:
        near.ask("remotes.add", url=far, name="Far")
    assert caught.value.code == "remote_refused"
    (model,) = near.ask("remotes.add", url=far, name="Far", key=KEY)["models"]
    sampling = {"temperature": 0.0, "max_tokens": 12}
    chat = near.ask("chats.create", model=model["model"], sampling=sampling)["id"]
    events: list[dict[str, Any]] = []
    answer = near.stream("chat.send", events.append, chat=chat, text="Count from one to five.")["message"]
    assert answer["state"] == "done"
    assert answer["stats"]["stop"] in ("length", "end")
    assert answer["stats"]["prompt_tokens"] > 0
    assert "".join(event["text"] for event in events if event["event"] == "token") == answer["text"]
    engine.ask("models.unload")  # a prompt found in the cache is computed in other portions, and may round otherwise
    makers = {**sampling, "repeat_penalty": 1.1}  # what is not asked for is as the model's makers recommend, there
    here = engine.ask("chats.create", model=model["id"], sampling=makers)["id"]
    same = engine.ask("chat.send", chat=here, text="Count from one to five.")["message"]
    assert answer["text"] == same["text"] != "", "the same model says the same, near and far"


def test_stopping_here_stops_it_there(near: EnginePipe, far: str, engine: EnginePipe) -> None:
    (model,) = near.ask("remotes.add", url=far, name="Far", key=KEY)["models"]
    sampling = {"temperature": 0.0, "max_tokens": 900}
    chat = near.ask("chats.create", model=model["model"], sampling=sampling)["id"]

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "token":
            near._send({"cancel": near._last_id})

    stopped = near.stream("chat.send", stop, chat=chat, text="Write a very long story.")["message"]
    assert (stopped["state"], stopped["stats"]["stop"]) == ("stopped", "cancelled")
    again = near.ask("chats.create", model=model["model"], sampling={"temperature": 0.0, "max_tokens": 4})["id"]
    assert near.ask("chat.send", chat=again, text="Say hello.")["message"]["text"], "the server there goes on serving"


def test_vectors_and_sizes_come_from_afar_too(near: EnginePipe, far: str, engine: EnginePipe) -> None:
    (model,) = near.ask("remotes.add", url=far, name="Far", key=KEY)["models"]
    assert model["context"] == 1024
    server = near.ask("server.start", port=0)["address"]
    with httpx.Client(base_url=server, timeout=60, trust_env=False) as client:
        (listed,) = client.get("/v1/models").json()["data"]
        asked = {"model": listed["id"], "input": ["a cat", "a dog"]}
        told = client.post("/v1/embeddings", json=asked).json()
        ollama = client.post("/api/embed", json=asked).json()
        count = client.post("/v1/messages/count_tokens", json={"model": listed["id"], "messages": HELLO})
    own = engine.ask("models.embed", model=model["id"], texts=asked["input"])
    assert (listed["id"], listed["context_length"]) == (model["model"], 1024)
    assert [one["embedding"] for one in told["data"]] == ollama["embeddings"] == own["vectors"]
    assert told["usage"]["prompt_tokens"] == own["tokens"]
    assert (count.status_code, "remote" in count.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [{"index": 0}],
        [{"index": 1, "embedding": [1]}],
        [{"index": 0, "embedding": ["1"]}],
        [{"index": 0, "embedding": []}],
        [{"index": 0, "embedding": [1e999]}],
        [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1]}],
        [{"index": [], "embedding": [1]}],
    ],
)
def test_what_is_no_vector_is_not_taken_for_one(data: Any) -> None:
    with pytest.raises(UserError) as caught:
        read_vectors(json.dumps({"data": data}).encode(), 1, "there")
    assert caught.value.code in ("remote_not_api", "remote_error")
