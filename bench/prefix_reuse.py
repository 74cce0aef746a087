"""What was read is not read again: a shared beginning, beside llama-server, and a conversation after a restart."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from pathlib import Path

from _engine import THREADS, Talk, private_home, qwen_coder
from _figures import figure
from _load import stream_all
from _servers import model_name, ours, peer

ROUNDS, CONTEXT = 3, 4096
MOST_SHARED, MOST_REOPENED = 1.0, 0.15
TALK = "The committee met on day {n} to speak of the harbour, its cranes, its ships and of the price of salt. "


def prefix(number: int) -> str:
    """About 1,500 tokens that no other number has."""
    return "".join(TALK.format(n=number * 1000 + line) for line in range(60))


def second_request(port: int, number: int) -> float:
    """Seconds to the first token of a request whose beginning another one had before."""
    model, begun = model_name(port), prefix(number)
    same = {"model": model, "max_tokens": 2, "temperature": 0, "repeat_penalty": 1.0}
    stream_all(port, [same | {"prompt": f"{begun}Who met?"}])
    return stream_all(port, [same | {"prompt": f"{begun}What did they speak of?"}])[0].first_s


def shared() -> None:
    """Beside the peer, in turns."""
    file = qwen_coder()
    waits: dict[str, list[float]] = {"ours": [], "peer": []}
    with peer(file, THREADS, CONTEXT, 4) as theirs, ours(file, THREADS, CONTEXT, 4) as mine:
        for number in range(ROUNDS + 1):
            waits["peer"].append(second_request(theirs, number))
            waits["ours"].append(second_request(mine, number))
    mine_s, theirs_s = (statistics.median(waits[who][1:]) for who in ("ours", "peer"))
    share = mine_s / theirs_s
    figure("shared 1,500 tokens, second request: first token, ours / llama-server", f"{share:.2f}", "<= 1", share <= 1)
    figure("the same, seconds", f"{mine_s:.3f} / {theirs_s:.3f}")


def first_token(talk: Talk, chat: str) -> float:
    """Seconds to the first token of another question; the model is in memory."""
    start = time.perf_counter()
    talk.ask("chat.send", chat=chat, text="And then?")
    return talk.token_times()[0] - start


def reopened() -> None:
    """The engine is started anew each time; once the stored caches are there, once they are not."""
    private_home()
    talk = Talk()
    model = talk.ask("models.add", path=str(qwen_coder()))["models"][0]["id"]
    sampling = {"temperature": 0.0, "max_tokens": 4}
    chat = talk.ask("chats.create", model=model, sampling=sampling)["id"]
    talk.ask("chat.send", chat=chat, text=prefix(77))
    talk.client.close()
    folder = Path(os.environ["DESKSIDE_HOME"]) / "conversations"
    warm = _after_restart(model, chat)
    shutil.rmtree(folder)
    cold = _after_restart(model, chat)
    share = warm / cold
    figure("reopened conversation, first token / cold", f"{share:.3f}", f"<= {MOST_REOPENED}", share <= MOST_REOPENED)
    figure("the same, seconds", f"{warm:.2f} / {cold:.2f}")


def _after_restart(model: str, chat: str) -> float:
    talk = Talk()
    talk.ask("models.load", model=model)
    waited = first_token(talk, chat)
    talk.client.close()
    return waited


if __name__ == "__main__":
    shared()
    reopened()
