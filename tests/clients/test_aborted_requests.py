"""1,000 requests that are broken off at random points leave nothing behind, and the next answer is right."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, get_args

import psutil
from clients_kit import ANSWER, QUESTION, SMALL, Served

from engine.server.workers import IDLE_S

REQUESTS = 1000
AT_A_TIME = 12
STORY = "Tell a story about a fox."
MEGABYTE = 1024 * 1024
# What may differ without being lost: threads that are just ending, the connection that asks for the figures.
SPARE = 3
# A thousand may need more threads at a time than the first 60; those wait a while for more work.
PATIENCE_S = 2 * IDLE_S
MOST_GROWTH = 24 * MEGABYTE
Where = Literal["in the head", "in the body", "before the answer", "in the answer"]
How = Literal["closed", "reset", "half-open"]


@dataclass(frozen=True)
class Plan:
    """One request and its end. `cut`: how much of the part is passed, 0 to 1; `pause_s` before the end."""

    request: bytes
    head: int  # bytes of it before the body
    where: Where
    how: How
    cut: float
    pause_s: float


def bodies(embedder: str) -> dict[str, dict[str, Any]]:
    """A body for each kind of work."""
    turns = [{"role": "user", "content": STORY}]
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    form = {"type": "json_schema", "json_schema": {"name": "story", "schema": schema}}
    chat = {"model": SMALL, "messages": turns, "max_tokens": 40, "temperature": 0}
    return {
        "/v1/chat/completions": {**chat, "stream": True, "n": 2},
        "/v1/chat/completions?": {**chat, "stream": True, "response_format": form},
        "/v1/chat/completions?whole": {**chat, "max_tokens": 12, "seed": 7, "temperature": 1},
        "/v1/completions": {"model": SMALL, "prompt": STORY, "max_tokens": 40, "stream": True},
        "/v1/messages": {**chat, "stream": True},
        "/v1/responses": {"model": SMALL, "input": STORY, "max_output_tokens": 40, "stream": True},
        "/api/chat": {"model": SMALL, "messages": turns, "options": {"num_predict": 40}},
        "/v1/embeddings": {"model": embedder, "input": [STORY] * 2},
    }


def plans(served: Served, number: int, seed: int) -> list[Plan]:
    """Requests that are all different, the same in every run."""
    chance = random.Random(seed)
    requests = [(path, json.dumps(body).encode()) for path, body in bodies(served.embedder).items()]
    made = []
    for _ in range(number):
        path, body = chance.choice(requests)
        fields = f"Host: 127.0.0.1\r\nConnection: close\r\nContent-Length: {len(body)}"
        head = f"POST {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode()
        where, how = chance.choice(get_args(Where)), chance.choice(get_args(How))
        made.append(Plan(head + body, len(head), where, how, chance.random(), chance.choice([0, 0, 0.01, 0.1])))
    return made


def carry_out(port: int, plan: Plan) -> None:
    """Send what the plan says, read what it says, and go."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(plan.request[: passed(plan)])
        if plan.where == "in the answer":
            read(line, int(plan.cut * 2000))
        time.sleep(plan.pause_s)
        if plan.how == "reset":
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif plan.how == "half-open":
            line.shutdown(socket.SHUT_WR)
            time.sleep(plan.pause_s)


def passed(plan: Plan) -> int:
    """How many bytes of the request are sent."""
    if plan.where == "in the head":
        return int(plan.cut * plan.head)
    if plan.where == "in the body":
        return plan.head + int(plan.cut * (len(plan.request) - plan.head))
    return len(plan.request)


def read(line: socket.socket, wanted: int) -> None:
    """Read that many bytes, or all there are."""
    while wanted > 0:
        piece = line.recv(min(wanted, 512))
        if not piece:
            return
        wanted -= len(piece)


def break_off(served: Served, number: int, seed: int) -> None:
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        list(threads.map(lambda plan: carry_out(served.port, plan), plans(served, number, seed)))
    served.wait_until_idle()


def held(engine: psutil.Process) -> tuple[int, int, int]:
    """Files, threads and bytes of memory of the engine."""
    files = getattr(engine, "num_handles" if psutil.WINDOWS else "num_fds")()
    return files, engine.num_threads(), engine.memory_info().rss


def settled(engine: psutil.Process, threads: int) -> tuple[int, int, int]:
    """What it holds once so few threads are left, or after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while engine.num_threads() > threads and time.monotonic() < deadline:
        time.sleep(0.1)
    return held(engine)


def test_a_thousand_aborted_requests_leave_nothing_behind(served: Served) -> None:
    story = served.chat(STORY, max_tokens=16, seed=7).json()["choices"]
    break_off(served, 60, seed=1)  # what is taken once and kept: models, grammars, buffers
    engine = served.engine
    files, threads, memory = held(engine)
    break_off(served, REQUESTS, seed=2)
    assert served.engine == engine, "the engine was started again"
    files_after, threads_after, memory_after = settled(engine, threads + SPARE)
    assert files_after <= files + SPARE
    assert threads_after <= threads + SPARE
    assert memory_after <= memory + MOST_GROWTH
    assert served.chat(STORY, max_tokens=16, seed=7).json()["choices"] == story
    with ThreadPoolExecutor(8) as at_once:  # every slot answers, and rightly
        answers = list(at_once.map(lambda _: served.chat(QUESTION), range(8)))
    assert {answer.json()["choices"][0]["message"]["content"] for answer in answers} == {ANSWER}
