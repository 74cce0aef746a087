"""The pipe to the engine: order, errors, death, restart, fatal starts, speed."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any

import pytest
from PySide6.QtCore import QObject, QTimer
from pytestqt.qtbot import QtBot
from window_kit import MakeClient

from desktop.client import EngineClient
from desktop.desk import Desk
from engine.api.errors import UserError

ECHO = """
greet()
while True:
    request = ask()
    if "cancel" in request:
        say({"id": request["cancel"], "result": {"stopped": True}})
    elif request["call"] == "fail":
        error = {"code": "unknown_model", "text": "No.", "hint": "", "values": {"model": "x"}}
        say({"id": request["id"], "error": error})
    elif request["call"] == "die":
        sys.exit(1)
    elif request["call"] != "wait":
        say({"id": request["id"], "event": "token", "text": "a"})
        say({"event": "models"})
        print("not a message")
        say({"id": request["id"], "result": request["params"]})
"""


def test_calls_made_before_the_engine_is_ready_are_answered_in_order(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    got: list[Any] = []
    client.call("echo", {"n": 1}, result=lambda result: got.append(result["n"]))
    client.start()
    client.call("echo", {"n": 2}, result=lambda result: got.append(result["n"]))
    qtbot.waitUntil(lambda: got == [1, 2])
    assert client.state == "ready"
    assert client.greeting == {"version": "test"}


def test_events_broadcasts_and_noise_go_where_they_belong(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    seen: list[Any] = []
    client.broadcast.connect(lambda event: seen.append(("all", event)))
    client.start()
    client.call("echo", event=lambda e: seen.append(("event", e)), result=lambda r: seen.append(("result", r)))
    qtbot.waitUntil(lambda: len(seen) == 3)
    assert seen == [("event", {"event": "token", "text": "a"}), ("all", {"event": "models"}), ("result", {})]


def test_an_error_comes_as_a_user_error_with_its_values(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    errors: list[Any] = []
    client.start()
    client.call("fail", error=errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert (errors[0].code, errors[0].values) == ("unknown_model", {"model": "x"})


def test_cancel_ends_a_running_call_and_one_that_waits(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    ends: list[Any] = []
    unsent = client.call("wait", error=lambda error: ends.append(error.code))
    client.cancel(unsent)
    assert ends == ["cancelled"]
    client.start()
    qtbot.waitUntil(lambda: client.state == "ready")
    client.cancel(client.call("wait", result=lambda result: ends.append(result)))
    qtbot.waitUntil(lambda: len(ends) == 2)
    assert ends[1] == {"stopped": True}


def test_a_dead_engine_fails_what_waits_for_it_and_is_started_again(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    states: list[Any] = []
    ends: list[Any] = []
    client.state_changed.connect(states.append)
    client.start()
    client.call("wait", error=lambda error: ends.append(error.code))
    client.call("die", error=lambda error: ends.append(error.code))
    qtbot.waitUntil(lambda: states == ["starting", "ready", "restarting", "ready"], timeout=20_000)
    assert ends == ["engine_died", "engine_died"]
    client.call("echo", {"again": 1}, result=ends.append)
    qtbot.waitUntil(lambda: ends[-1] == {"again": 1})


def test_what_was_asked_while_it_restarts_is_answered_afterwards(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    got: list[Any] = []
    client.start()
    client.call("die", error=lambda error: client.call("echo", {"later": 1}, result=got.append))
    qtbot.waitUntil(lambda: got == [{"later": 1}], timeout=20_000)
    assert client.state == "ready"


def test_five_deaths_are_enough_until_the_person_restarts(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer("sys.exit(3)")
    ends: list[Any] = []
    states: list[Any] = []
    client.state_changed.connect(states.append)
    client.call("echo", error=lambda error: ends.append(error.code))
    client.start()
    qtbot.waitUntil(lambda: client.state == "dead", timeout=60_000)
    assert ends == ["engine_keeps_dying"]
    assert client.problem is not None
    client.restart()
    assert client.state == "starting"
    assert client.problem is None


def test_a_fatal_start_is_told_and_not_tried_again(qtbot: QtBot, peer: MakeClient) -> None:
    fatal = {"code": "engine_running", "text": "Another one.", "hint": "Close it.", "values": {}}
    client = peer(f'say({{"event": "fatal", "error": {fatal!r}}}); sys.exit(2)')
    ends: list[Any] = []
    client.call("echo", error=lambda error: ends.append(error.code))
    client.start()
    qtbot.waitUntil(lambda: client.state == "dead", timeout=20_000)
    assert ends == ["engine_running"]
    client.call("echo", error=lambda error: ends.append(error.code))
    qtbot.waitUntil(lambda: len(ends) == 2)
    assert ends[1] == "engine_running"


def test_a_program_that_does_not_exist_ends_dead_not_hanging(qtbot: QtBot) -> None:
    client = EngineClient(program="/nonexistent/python")
    client.start()
    qtbot.waitUntil(lambda: client.state == "dead", timeout=60_000)
    assert client.problem is not None
    client.close()


def test_close_ends_an_engine_that_heeds_stdin_and_kills_one_that_does_not(qtbot: QtBot, peer: MakeClient) -> None:
    for script in (ECHO, "greet()\nwhile True: time.sleep(1)"):
        client = peer(script)
        client.start()
        qtbot.waitUntil(partial(is_ready, client))
        pid = client.pid
        client.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert (client.state, client.pid) == ("closed", 0)


def is_ready(client: EngineClient) -> bool:
    return client.state == "ready"


def test_callbacks_of_a_destroyed_widget_are_dropped(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    got: list[Any] = []
    owner = QObject()
    client.call("echo", {"n": 1}, result=got.append, owner=owner)
    owner.deleteLater()
    qtbot.wait(20)
    client.start()
    client.call("echo", {"n": 2}, result=got.append)
    qtbot.waitUntil(lambda: bool(got))
    assert got == [{"n": 2}]


def test_fifty_thousand_events_arrive_whole_and_leave_the_window_time_to_draw(qtbot: QtBot, peer: MakeClient) -> None:
    script = """
greet()
request = ask()
for n in range(50000):
    sys.stdout.write('{"id":%d,"event":"token","message":1,"text":"word %d","thinking":""}\\n' % (request["id"], n))
say({"id": request["id"], "result": {}})
ask()
"""
    client = peer(script)
    texts: list[Any] = []
    ends: list[Any] = []
    ticks: list[Any] = []
    timer = QTimer(interval=5)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    client.start()
    qtbot.waitUntil(lambda: client.state == "ready")
    timer.start()
    client.call("flood", event=lambda event: texts.append(event["text"]), result=ends.append)
    qtbot.waitUntil(lambda: bool(ends), timeout=60_000)
    assert texts == [f"word {n}" for n in range(50_000)]
    assert len(ticks) >= 5


def test_a_callback_that_raises_does_not_lose_what_follows(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(ECHO)
    got: list[Any] = []

    def broken(result: dict[str, Any]) -> None:
        raise ZeroDivisionError

    client.start()
    qtbot.waitUntil(lambda: client.state == "ready")
    with qtbot.captureExceptions() as bugs:
        client.call("echo", result=broken)
        client.call("echo", {"n": 2}, result=got.append)
        qtbot.waitUntil(lambda: got == [{"n": 2}])
    assert [kind for kind, *_ in bugs] == [ZeroDivisionError]


def test_the_real_engine_killed_comes_back(qtbot: QtBot, real_desk: Desk) -> None:
    client = real_desk.client
    ends: list[Any] = []
    os.kill(client.pid, signal.SIGKILL)
    client.call("engine.hello", error=lambda error: ends.append(error), result=ends.append)
    qtbot.waitUntil(lambda: client.state == "ready" and bool(ends), timeout=60_000)
    client.call("settings.get", result=ends.append)
    qtbot.waitUntil(lambda: isinstance(ends[-1], dict) and "theme" in ends[-1], timeout=20_000)
    assert ends[-1]["theme"] == "system"


def test_the_real_engine_refuses_an_unknown_request(qtbot: QtBot, real_desk: Desk) -> None:
    errors: list[Any] = []
    real_desk.client.call("no.such", error=errors.append)
    qtbot.waitUntil(lambda: bool(errors), timeout=20_000)
    assert isinstance(errors[0], UserError)
