"""Time to first token in turn 20 of a conversation, against turn 2 of the same."""

from __future__ import annotations

import statistics
import time

from _engine import Talk, private_home, smollm2
from _figures import figure

TURNS, MOST, ROUNDS = 20, 1.3, 3


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


def main() -> None:
    private_home()
    file = smollm2()
    talk = Talk()
    model = talk.ask("models.add", path=str(file))["models"][0]["id"]
    talk.ask("models.load", model=model)
    waits = [one_conversation(talk, number) for number in range(ROUNDS)]
    talk.client.close()
    second, last = (statistics.median(each[turn] for each in waits) for turn in (1, TURNS - 1))
    figure(f"first token, turn {TURNS} / turn 2", f"{last / second:.2f}", f"<= {MOST}", last / second <= MOST)
    figure("first token, seconds", f"{last:.3f} / {second:.3f}")


if __name__ == "__main__":
    main()
