"""What is promised about answers holds on a graphics card, too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_adapter
from minilm_gguf import tiny_bert, write
from real_models import smollm2
from speculating import chat
from vector_kit import run

from engine.api.messages import Stats
from engine.api.sampling import Sampling
from engine.generation import AdapterChoice, Generation
from engine.llama.adapters import Adapters
from engine.llama.embed import Embedder
from engine.llama.load import LoadSettings, load
from engine.llama.model import Model
from engine.llama.quiet import library
from engine.prefix_store import PrefixStore
from engine.resident import Resident, Serving, take_in
from models.registry import add_file

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("card")]
SETTINGS = LoadSettings(context_size=8192, threads=2, sequences=8)
STORY = "Once upon a time there was a small cat who lived by the sea. Every morning"
GREEDY = Sampling(temperature=0, max_tokens=16)
TALES = [f"Tale {number}: " + STORY for number in range(8)]
ROOT = Path(__file__).parents[2]
TIE = 1.0  # logits: two tokens so near each other may come out either way


class Heard:
    """Keeps an answer, and may act on each report of progress."""

    def __init__(self, act: Callable[[int], None] = lambda done: None) -> None:
        self.pieces: list[str] = []
        self.done: list[int] = []
        self._act = act

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        self.done.append(done)
        self._act(done)

    def text(self, piece: str) -> None:
        self.pieces.append(piece)


@contextmanager
def resident(serving: Serving | None = None, **changes: Any) -> Iterator[Resident]:
    made = take_in("smollm2", smollm2(), replace(SETTINGS, **changes), serving or Serving(), lambda done: True)
    yield made
    made.stop()
    made.close()


@pytest.fixture(scope="module")
def on_card(card: dict[str, Any]) -> Iterator[Resident]:
    with resident() as made:
        assert made.info.gpu_layers == 31
        yield made


def answer(asked: Resident, prompt: str = STORY, sampling: Sampling = GREEDY, **more: Any) -> tuple[str, Stats]:
    heard = Heard()
    stats = asked.generate(Generation(prompt, sampling, **more), heard, threading.Event())
    return "".join(heard.pieces), stats


def together(asked: Resident, prompts: list[str], sampling: Sampling = GREEDY) -> list[str]:
    with ThreadPoolExecutor(len(prompts)) as pool:
        return list(pool.map(lambda prompt: answer(asked, prompt, sampling)[0], prompts))


def all_logits(model: Model, text: str) -> Any:
    """The logits after each token: (tokens, vocabulary)."""
    c, tokens = library(), model.tokenize(text)[:500]
    c.llama_memory_clear(c.llama_get_memory(model.context), True)
    batch = c.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for at, token in enumerate(tokens):
        batch.token[at], batch.pos[at], batch.logits[at] = token, at, 1
        batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
    assert c.llama_decode(model.context, batch) == 0
    found = np.ctypeslib.as_array(c.llama_get_logits(model.context), (len(tokens), model.vocab_size)).copy()
    c.llama_batch_free(batch)
    return found


def test_the_card_expects_the_words_that_the_processor_expects() -> None:
    rows = []
    for layers in (-1, 12, 0):
        model = load(smollm2(), LoadSettings(context_size=1024, threads=8, gpu_layers=layers))
        rows.append(all_logits(model, (ROOT / "README.md").read_text(encoding="utf-8")[:1200]))
        model.close()
    processor = rows.pop()
    at = np.arange(len(processor))
    for card in rows:
        lost = processor.max(1) - processor[at, card.argmax(1)]
        print(
            f"{(lost == 0).mean():.3f} of {len(at)} words the same, the worst other choice {lost.max():.2f} less likely"
        )
        assert (lost == 0).mean() > 0.9 and lost.max() < TIE


@pytest.mark.parametrize("kv_type", ["f16", "q8_0", "q4_0"])
@pytest.mark.parametrize("flash", ["auto", "off"])
def test_a_smaller_cache_costs_the_card_no_more_than_the_processor(kv_type: str, flash: str) -> None:
    shape = LoadSettings(context_size=1024, threads=8, kv_type=kv_type, flash_attention=flash)
    found = []
    for changes in ({}, {"gpu_layers": 12}, {"gpu_layers": 0}, {"gpu_layers": 0, "kv_type": "f16"}):
        model = load(smollm2(), replace(shape, **changes))
        found.append(all_logits(model, STORY * 10))
        model.close()
    exact = found.pop()
    away = [float(np.abs(one - exact).mean()) for one in found]
    print(kv_type, flash, "mean distance to f16 on the processor: card, half, processor", away)
    assert max(away[:2]) < 1.5 * away[2] + 0.8


def test_eight_at_once_are_answered_each_their_own(on_card: Resident) -> None:
    words = ["apple", "river", "seven", "window", "green", "horse", "paper", "music"]
    texts = together(on_card, [f"{word} one, {word} two, {word} three, " * 12 + f"{word} one," for word in words])
    assert [text.split(",")[:2] for text in texts] == [[f" {word} two", f" {word} three"] for word in words]


def test_a_seed_writes_the_same_text_alone_and_among_others(on_card: Resident) -> None:
    seeded = Sampling(temperature=1.2, seed=11, max_tokens=48)
    alone = answer(on_card, STORY, seeded)[0]
    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(answer, on_card, tale, replace(GREEDY, max_tokens=64)) for tale in TALES[:7]]
        among = answer(on_card, STORY, seeded)[0]
        assert all(other.result()[0] for other in others)
    assert among == alone != answer(on_card, STORY, replace(seeded, seed=12))[0]


def test_a_seed_writes_the_same_text_after_loading_again() -> None:
    seeded, texts = Sampling(temperature=1.2, seed=11, max_tokens=48), []
    for _ in range(2):
        with resident() as made:
            texts.append(answer(made, STORY, seeded)[0])
    assert texts[0] == texts[1] != ""


def test_a_prompt_that_was_read_is_not_read_again(on_card: Resident) -> None:
    text, stats = answer(on_card, "A fresh beginning. " + STORY * 30)
    again, warm = answer(on_card, "A fresh beginning. " + STORY * 30)
    assert (again, warm["reused_tokens"]) == (text, stats["prompt_tokens"] - 1)


def test_conversations_stay_on_the_card_and_come_back_when_they_had_to_go() -> None:
    prompts = [f"{number} " + STORY * 10 for number in range(11)]
    with resident(gpu_layers=-1) as made:
        first = [answer(made, prompt, conversation=f"chat-{at}") for at, prompt in enumerate(prompts)]
        assert all(slot.held for slot in made.scheduler.slots.all), "nobody is sent away before their room is needed"
        again = [answer(made, prompt, conversation=f"chat-{at}") for at, prompt in enumerate(prompts)]
    assert [stats["reused_tokens"] for _, stats in again] == [stats["prompt_tokens"] - 1 for _, stats in first]
    assert [text[:4] for text, _ in again] == [text[:4] for text, _ in first]


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
@pytest.mark.parametrize("layers", [-1, 12])
def test_a_conversation_is_taken_up_again_from_disk(kv_type: str, layers: int, tmp_path: Path) -> None:
    talk, found = STORY * 30, []
    for prompt in (talk, talk + " One day a ship came"):
        store = PrefixStore(tmp_path, 1 << 30)
        with resident(Serving(store=store), kv_type=kv_type, gpu_layers=layers) as made:
            found.append(answer(made, prompt, conversation="chat-1")[1])
    assert found[0]["reused_tokens"] == 0
    assert found[1]["reused_tokens"] >= found[0]["prompt_tokens"] - 1


def test_what_the_card_stored_the_processor_can_go_on_from(tmp_path: Path) -> None:
    talk = STORY * 30
    with resident(Serving(store=PrefixStore(tmp_path, 1 << 30))) as made:
        text, _ = answer(made, talk, conversation="chat-1")
    with resident(Serving(store=PrefixStore(tmp_path, 1 << 30)), gpu_layers=0, threads=8) as made:
        again, stats = answer(made, talk, conversation="chat-1")
    assert (again, stats["reused_tokens"]) == (text, stats["prompt_tokens"] - 1)


def test_cancelling_ends_the_reading_of_a_long_prompt(on_card: Resident) -> None:
    cancelled = threading.Event()
    heard = Heard(lambda done: cancelled.set())
    prompt = "Quite another beginning. " + STORY * 400
    assert 6000 < on_card.count(prompt) < 8192
    stats = on_card.generate(Generation(prompt, GREEDY), heard, cancelled)
    assert (stats["stop"], stats["tokens"], heard.done) == ("cancelled", 0, [512])
    text, whole = answer(on_card, prompt)
    assert (whole["reused_tokens"], whole["stop"]) == (512, "length") and text


def test_guessing_ahead_leaves_the_text_as_it_is(on_card: Resident) -> None:
    document = "The lighthouse was built in 1872 by Anna Berg. It has 214 steps and a lamp of 1000 watts. " * 4
    prompt = chat("Repeat the document word for word.", document)
    plain, _ = answer(on_card, prompt, replace(GREEDY, max_tokens=120), speculate=False)
    for _ in range(3):
        text, stats = answer(on_card, prompt, replace(GREEDY, max_tokens=120))
        guessed, right = stats.get("guessed_tokens", 0), stats.get("guessed_right", 0)
        print("guessed", guessed, "right", right)
        assert right > guessed / 2 > 0
        assert text[:60] == plain[:60]  # two words as likely as each other may come out either way later on


@pytest.mark.parametrize("layers", [-1, 12])
def test_an_adapter_speaks_on_the_card_as_on_the_processor(layers: int, tmp_path: Path) -> None:
    file, found = tiny_adapter.write(tmp_path / "tiny.gguf", smollm2()), []
    for on_card in (layers, 0):
        model = load(smollm2(), LoadSettings(context_size=512, threads=8, gpu_layers=on_card))
        adapters = Adapters(model)
        plain = all_logits(model, STORY)
        adapters.choose(((file, 1.0),))
        found.append((plain, all_logits(model, STORY)))
        adapters.choose(())
        assert np.abs(all_logits(model, STORY) - plain).max() < 0.01
        adapters.close()
        model.close()
    (plain, changed), (_, wanted) = found
    away, moved = np.abs(changed - wanted).mean(), np.abs(changed - plain).mean()
    print(f"the adapter moves a logit by {moved:.2f}, the card is {away:.2f} from the processor")
    assert away < moved / 3


def test_an_adapter_is_one_requests_own(on_card: Resident, home: Path, tmp_path: Path) -> None:
    (adapter,) = add_file(tiny_adapter.write(tmp_path / "tiny.gguf", smollm2()))
    plain = answer(on_card)[0]
    assert answer(on_card, adapters=(AdapterChoice(adapter.id, 1.0),))[0] != plain
    assert answer(on_card)[0][:12] == plain[:12]


def _vectors(path: Path, layers: int, texts: list[str]) -> Any:
    model = load(path, LoadSettings(context_size=512, threads=4, gpu_layers=layers))
    embedder = Embedder(model, path)
    try:
        return np.array(run(embedder.embed([embedder.tokens(text) for text in texts], "mean", True)))
    finally:
        embedder.close()
        model.close()


@pytest.mark.parametrize("layers", [-1, 2])
def test_vectors_of_the_card_are_those_of_the_processor(layers: int, tmp_path: Path) -> None:
    for path in (smollm2(), write(tiny_bert(), tmp_path / "tiny.gguf")):
        texts = [STORY * (number % 5 + 1) if path == smollm2() else "cat" for number in range(20)]
        card, processor = _vectors(path, layers, texts), _vectors(path, 0, texts)
        assert (card * processor).sum(1).min() > 0.99
