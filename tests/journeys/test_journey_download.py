"""A model from a local stand-in hub: interrupted in every way, resumed, checked, chatted with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import real_models
from person import Person
from stand_in_hub import StandInHub

from engine.api.folders import models_folder


def prepare(person: Person, hub: StandInHub) -> None:
    values = {"hub_endpoint": hub.url, "pypi_index": hub.index, "first_start_done": True}
    person.ask_engine("settings.set", values=values)


def begin(person: Person, hub: StandInHub) -> str:
    """A slow download that has got somewhere; the job's id."""
    prepare(person, hub)
    hub.bytes_per_s = 20_000_000
    started = person.ask_engine("models.pull", model="someone/tiny-gguf")["job"]
    person.wait(lambda: job(person)["done"] > 5_000_000)
    return str(started)


def job(person: Person) -> dict[str, Any]:
    """The newest job; one that has done nothing where none has begun."""
    return dict(next(iter(person.ask_engine("jobs.list")["jobs"]), {"done": 0, "state": ""}))


@pytest.fixture
def hub() -> Any:
    with StandInHub() as hub:
        hub.add("someone/tiny-gguf", {"tiny-Q4_1.gguf": real_models.smollm2()})
        yield hub


def test_kill_9_in_mid_download_resumes_where_it_was_and_the_model_answers(
    open_window: Callable[[], Person], hub: StandInHub
) -> None:
    person = open_window()
    prepare(person, hub)
    hub.bytes_per_s = 20_000_000
    person.desk.open_page("models")
    person.desk.page("models").pull("someone/tiny-gguf")  # type: ignore[union-attr]
    person.wait(lambda: job(person)["done"] > 15_000_000)
    assert not [m for m in person.ask_engine("models.list")["models"] if m["installed"]], "no half file is offered"
    pid = person.client.pid
    person.kill_engine()
    person.wait(lambda: person.client.state == "ready" and person.client.pid != pid)
    stopped = job(person)
    assert stopped["state"] == "interrupted"
    hub.bytes_per_s = 0
    already = len(hub.requests)
    person.desk.open_page("jobs")
    person.ask_engine("jobs.resume", job=stopped["job"])
    person.wait(lambda: job(person)["state"] == "done")
    ranges = [asked.range for asked in hub.requests[already:] if asked.range]
    assert any(asked != "bytes=0-" for asked in ranges), "it went on where it was"
    (model,) = [m for m in person.ask_engine("models.list")["models"] if m["installed"]]
    assert Path(model["path"]).read_bytes() == real_models.smollm2().read_bytes()
    assert not list(models_folder().glob("*.partial*"))
    person.desk.open_page("chat", model=model["id"])
    person.chat.session.update(person.chat.session.shown, sampling={"max_tokens": 6})
    assert person.ask("Hello.").message["text"]


def test_pause_and_resume(person: Person, hub: StandInHub) -> None:
    started = begin(person, hub)
    person.ask_engine("jobs.pause", job=started)
    person.wait(lambda: job(person)["state"] == "interrupted")
    held = job(person)["done"]
    assert held > 0
    hub.bytes_per_s = 0
    assert person.ask_engine("models.pull", model="someone/tiny-gguf")["job"] == started, "asking again resumes it"
    person.wait(lambda: job(person)["state"] == "done")


def test_cancel_leaves_nothing(person: Person, hub: StandInHub) -> None:
    started = begin(person, hub)
    person.ask_engine("jobs.cancel", job=started)
    person.wait(lambda: job(person)["state"] == "cancelled")
    assert not list(models_folder().iterdir())


def test_turned_bytes_are_refused_and_never_offered(person: Person, hub: StandInHub) -> None:
    prepare(person, hub)
    hub.corrupt = True
    person.ask_engine("models.pull", model="someone/tiny-gguf")
    person.wait(lambda: job(person)["state"] == "failed")
    assert job(person)["error"]["code"] == "wrong_hash"
    assert not [m for m in person.ask_engine("models.list")["models"] if m["installed"]]
