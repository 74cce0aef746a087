"""Time to first token in turn 20 of a conversation, against turn 2 of the same."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from _bare import Bare
from _engine import THREADS, Talk, private_home, qwen_coder, smollm2
from _figures import figure

TURNS, MOST, ROUNDS = 20, 1.3, 3


def one_conversation(talk: Talk, number: int, typed: bool) -> list[float]:
    """Seconds to the first token of each turn. `typed`: the draft reaches the engine while it is written, as the
    window sees to; else each message falls from the sky."""
    chat = talk.ask("chats.create", sampling={"temperature": 0.0, "max_tokens": 24})["id"]
    waits = []
    for turn in range(TURNS):
        text = f"In conversation {number}, tell me a thing about the number {turn + 10}."
        if typed:
            talk.ask("chat.draft", chat=chat, text=text)
        start = time.perf_counter()
        talk.ask("chat.send", chat=chat, text=text)
        waits.append(talk.token_times()[0] - start)
    return waits


def bare_ratio(file: Path) -> float:
    """The same for llama.cpp alone: a turn's 28 tokens read after 1,000 others, against after 70."""
    bare = Bare(file, THREADS, 2048)
    spent: dict[int, list[float]] = {70: [], 1000: []}
    for held, seconds in spent.items():
        tokens = [(number * 37) % 40_000 + 100 for number in range(held + 28)]
        bare.read(tokens[:held])
        for _ in range(9):
            bare.cut(held)
            start = time.perf_counter()
            bare.read(tokens[held:])
            seconds.append(time.perf_counter() - start)
        bare.cut(0)
    return statistics.median(spent[1000]) / statistics.median(spent[70])


def measure(talk: Talk, name: str, file: Path) -> None:
    """Rounds with one model."""
    model = talk.ask("models.add", path=str(file))["models"][0]["id"]
    talk.ask("settings.set", values={"default_model": model})
    talk.ask("models.load", model=model)
    for typed, how in ((True, "typed"), (False, "pasted and sent at once")):
        waits = [one_conversation(talk, number, typed) for number in range(ROUNDS)]
        second, last = (statistics.median(each[turn] for each in waits) for turn in (1, TURNS - 1))
        goal, kept = (f"<= {MOST}", last / second <= MOST) if typed else ("", None)
        figure(f"{name}, {how}: first token, turn {TURNS} / turn 2", f"{last / second:.2f}", goal, kept)
        figure(f"{name}, {how}: first token, seconds", f"{last:.3f} / {second:.3f}")
    figure(f"{name}: the same ratio of llama.cpp alone", f"{bare_ratio(file):.2f}")


def main() -> None:
    private_home()
    files = {"Qwen2.5-Coder-0.5B": qwen_coder(), "SmolLM2-135M": smollm2()}
    talk = Talk()
    for name, file in files.items():
        measure(talk, name, file)
    talk.client.close()


if __name__ == "__main__":
    main()
