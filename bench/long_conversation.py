"""Time to first token in turn 20 of a conversation, against turn 2 of the same."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from _engine import Talk, private_home, qwen_coder, smollm2
from _figures import figure

TURNS, MOST, ROUNDS = 20, 1.3, 2


def one_conversation(talk: Talk, number: int) -> list[float]:
    """Seconds to the first token of each turn."""
    chat = talk.ask("chats.create", sampling={"temperature": 0.0, "max_tokens": 24})["id"]
    waits = []
    for turn in range(TURNS):
        start = time.perf_counter()
        talk.ask(
            "chat.send", chat=chat, text=f"In conversation {number}, tell me a thing about the number {turn + 10}."
        )
        waits.append(talk.token_times()[0] - start)
    return waits


def measure(talk: Talk, name: str, file: Path) -> None:
    """Rounds with one model."""
    model = talk.ask("models.add", path=str(file))["models"][0]["id"]
    talk.ask("settings.set", values={"default_model": model})
    talk.ask("models.load", model=model)
    waits = [one_conversation(talk, number) for number in range(ROUNDS)]
    second, last = (statistics.median(each[turn] for each in waits) for turn in (1, TURNS - 1))
    figure(f"{name}: first token, turn {TURNS} / turn 2", f"{last / second:.2f}", f"<= {MOST}", last / second <= MOST)
    figure(f"{name}: first token, seconds", f"{last:.3f} / {second:.3f}")


def main() -> None:
    private_home()
    files = {"Qwen2.5-Coder-0.5B": qwen_coder(), "SmolLM2-135M": smollm2()}
    talk = Talk()
    for name, file in files.items():
        measure(talk, name, file)
    talk.client.close()


if __name__ == "__main__":
    main()
