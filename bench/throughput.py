"""Tokens a second through client, pipe, engine and model, against a bare loop over llama_cpp in the same run."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from _bare import Bare
from _engine import THREADS, Talk, private_home, smollm2
from _figures import figure, ratio

ROUNDS, TOKENS, CONTEXT = 11, 128, 2048
LEAST = 0.97


@dataclass(frozen=True)
class Answer:
    """One answer as the window saw it: tokens a second, and what the model was given for it."""

    prefill: float
    decode: float
    prompt: str
    reused: int


def through_the_house(talk: Talk, number: int) -> Answer:
    """One long question, answered through client, pipe, engine and model."""
    # A new beginning each time, or the engine would not read the prompt again.
    story = " ".join(f"On day {number}-{i} the ship sailed {i * 7} miles to the north." for i in range(24))
    bias = {str(token): -1000.0 for token in (0, 2)}  # an answer that goes on to the end
    chat = talk.ask("chats.create", sampling={"temperature": 0.0, "max_tokens": TOKENS, "logit_bias": bias})
    start = time.perf_counter()
    answer = talk.ask("chat.send", chat=chat["id"], text=f"{number} {story} Tell how it went on.")["message"]
    times, stats = talk.token_times(), answer["stats"]
    assert stats["tokens"] == TOKENS, stats
    reused = stats["reused_tokens"]  # the beginning every chat shares
    prefill = (stats["prompt_tokens"] - reused) / (times[0] - start)
    prompt = talk.ask("chat.sent", message=answer["id"])["prompt"]
    return Answer(prefill, (TOKENS - 1) / (times[-1] - times[0]), prompt, reused)


def main() -> None:
    private_home()
    file = smollm2()
    talk = Talk()
    talk.ask("settings.set", values={"context_size": CONTEXT, "threads": THREADS})
    model = talk.ask("models.add", path=str(file))["models"][0]["id"]
    talk.ask("models.load", model=model)
    bare = Bare(file, THREADS, CONTEXT)
    pairs: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(ROUNDS + 1):
        answer = through_the_house(talk, number)
        alone = bare.run(bare.tokens(answer.prompt), answer.reused, TOKENS)
        pairs.append(((answer.prefill, answer.decode), alone))
    talk.client.close()
    for place, name in enumerate(("prefill", "decode")):
        rates = [(house[place], alone[place]) for house, alone in pairs[1:]]
        # Each pair ran one after the other: a neighbour who slows the machine for a minute slows both.
        ratio(f"{name}, whole path / bare llama.cpp", statistics.median(h / a for h, a in rates), LEAST)
        figure(f"{name}, tokens/s", " / ".join(f"{statistics.median(side):.1f}" for side in zip(*rates, strict=True)))


if __name__ == "__main__":
    main()
