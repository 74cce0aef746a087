"""Many requests on one model: what each gets is what it would get alone, and nobody is forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from real_models import qwen_coder, smollm2

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.messages import Stats
from engine.api.sampling import Sampling
from engine.generation import AdapterChoice, Generation, ThinkingLimit
from engine.llama.load import LoadSettings
from engine.llama.model import STEP
from engine.llama.writing import Writing
from engine.resident import Resident, Serving, take_in

THINGS = ["the sea", "a fox", "three kings", "a red house", "snow", "a long road", "bees", "the moon"]


class Heard:
    """A listener that keeps what it hears, with the time of each piece."""

    def __init__(self, act: Callable[[Heard], None] = lambda heard: None) -> None:
        self.pieces: list[tuple[float, str]] = []
        self.read: list[tuple[float, int]] = []  # tokens of the prompt
        self._act = act

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        self.read.append((time.monotonic(), done))

    def text(self, piece: str) -> None:
        self.pieces.append((time.monotonic(), piece))
        self._act(self)

    @property
    def whole(self) -> str:
        return "".join(piece for _, piece in self.pieces)


class Asked(threading.Thread):
    """One request, answered in a thread of its own."""

    def __init__(self, resident: Resident, request: Generation, heard: Heard | None = None) -> None:
        super().__init__()
        self.heard, self.cancelled = heard or Heard(), threading.Event()
        self.stats = Stats()
        self.error: Exception | None = None
        self._ask: Callable[[], Stats] = lambda: resident.generate(request, self.heard, self.cancelled)
        self.start()

    def run(self) -> None:
        try:
            self.stats = self._ask()
        except (UserError, Cancelled) as error:
            self.error = error

    def text(self) -> str:
        self.join(120)
        assert self.error is None
        return self.heard.whole


def story(about: str, tokens: int = 24, **sampling: float) -> Generation:
    prompt = f"<|im_start|>user\nTell me a story about {about}.<|im_end|>\n<|im_start|>assistant\n"
    return Generation(prompt, Sampling(**{"temperature": 0, "max_tokens": tokens, **sampling}))  # type: ignore[arg-type]


def took_in(file: Callable[[], object], context: int, sequences: int, **serving: int) -> Resident:
    settings = LoadSettings(context_size=context, threads=1, sequences=sequences)
    return take_in("model", file(), settings, Serving(**serving), lambda done: True)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def qwen() -> Iterator[Resident]:
    made = took_in(qwen_coder, 2048, 8)
    yield made
    made.stop()
    made.close()


@pytest.fixture
def small() -> Iterator[Resident]:
    """Two places, and cells for little more than one answer."""
    made = took_in(smollm2, 512, 2, queue_limit=3)
    yield made
    made.stop()
    made.close()


@pytest.fixture
def fresh() -> Iterator[Resident]:
    """Two places, and nobody has asked for anything."""
    made = took_in(smollm2, 2048, 2)
    yield made
    made.stop()
    made.close()


def test_seeded_requests_write_the_same_alone_and_among_seven_others(qwen: Resident) -> None:
    """The others are seeded or not, so the model answers them in one batch meanwhile."""
    requests = [story(thing, temperature=0.9, seed=7) for thing in THINGS[:4]]
    alone = [Asked(qwen, request).text() for request in requests]
    together = [Asked(qwen, request) for request in requests]
    others = [Asked(qwen, story(thing, 60)) for thing in THINGS[4:]]
    assert [asked.text() for asked in together] == alone
    assert all(other.text() for other in others)
    assert len(set(alone)) > 1


def test_nobody_waits_for_the_whole_prompt_of_another(qwen: Resident) -> None:
    began = threading.Event()
    first = Asked(qwen, story("a bridge", 40), Heard(lambda heard: began.set()))
    assert began.wait(60)
    second = Asked(qwen, Generation("word " * 700, Sampling(temperature=0, max_tokens=1)))
    first.join(120)
    second.join(120)
    written_meanwhile = sum(at < second.heard.pieces[0][0] for at, _ in first.heard.pieces)
    assert written_meanwhile >= 10


def at_once(resident: Resident, requests: list[Generation]) -> list[Asked]:
    """Requests that have all arrived when the model's thread looks at the first."""
    waiting = len(requests)

    def hold() -> Iterator[None]:
        while resident.scheduler.load()[1] < waiting:
            time.sleep(0.01)
        yield

    holding = threading.Thread(target=resident.scheduler.run, args=(hold(),))
    holding.start()
    asked = [Asked(resident, request) for request in requests]
    for one in asked:
        one.join(120)
    holding.join(60)
    return asked


def test_who_arrives_while_another_gets_a_slot_is_read_in_the_same_step(fresh: Resident) -> None:
    later: list[Asked] = []

    def arrive(_: Writing) -> None:
        if not later:
            later.append(Asked(fresh, story("bees", 4)))
            while fresh.scheduler.load()[1] == 0:
                time.sleep(0.01)

    fresh.scheduler.guesser = arrive  # asked while a request is given its slot
    first = Asked(fresh, replace(story("snow", 4), speculate=True))
    assert first.text() and later[0].text()
    assert later[0].heard.read[0][0] < first.heard.pieces[1][0]


def test_a_beginning_that_several_bring_at_once_is_read_once(qwen: Resident) -> None:
    beginning = "The keeper wrote down every ship that passed, its flag, its cargo and its captain's name. " * 9
    asked = at_once(
        qwen, [Generation(f"{beginning}{thing}", Sampling(temperature=0, max_tokens=3)) for thing in THINGS]
    )
    reused = sorted(one.stats["reused_tokens"] for one in asked)
    assert reused[0] < 64
    assert all(count >= qwen.count(beginning) - 2 for count in reused[1:])
    assert all(one.text() for one in asked)


def test_a_short_prompt_does_not_wait_for_a_long_one_that_came_with_it(fresh: Resident) -> None:
    long, short = at_once(fresh, [Generation("word " * 300, Sampling(max_tokens=1)), story("ice", 2)])
    assert short.heard.pieces[0][0] < long.heard.read[1][0]
    assert long.heard.read[0][1] <= STEP // 2


def test_one_is_cancelled_and_the_others_go_on(qwen: Resident) -> None:
    alone = Asked(qwen, story("bees")).text()
    others = [Asked(qwen, story("bees")) for _ in range(2)]
    leaving = Asked(qwen, story("the moon", 200))
    leaving.heard._act = lambda heard: leaving.cancelled.set()
    leaving.join(60)
    assert leaving.stats["stop"] == "cancelled"
    assert leaving.stats["tokens"] < 10
    assert [asked.text() for asked in others] == [alone, alone]


def test_without_guesses_too_who_comes_and_goes_leaves_the_others_their_answers() -> None:
    """Steps are planned anew only then."""
    made = took_in(smollm2, 2048, 3, speculate=False)
    staying, leaving = Asked(made, story("bees", 40)), Asked(made, story("the moon", 200))
    leaving.heard._act = lambda heard: leaving.cancelled.set()
    leaving.join(60)
    coming = Asked(made, story("snow", 8))
    assert staying.text() and coming.text()
    assert (leaving.stats["stop"], leaving.stats["tokens"] < 10) == ("cancelled", True)
    assert (staying.stats["tokens"], coming.stats["tokens"]) == (40, 8)
    made.stop()
    made.close()


def test_a_shared_beginning_is_read_once(qwen: Resident) -> None:
    beginning = "The committee met on Monday to talk about the harbour, its cranes and its ships. " * 12
    asked = [Asked(qwen, Generation(f"{beginning}{thing}", Sampling(temperature=0, max_tokens=2))) for thing in THINGS]
    assert all(other.text() for other in asked)
    again = Asked(qwen, Generation(f"{beginning}something new", Sampling(temperature=0, max_tokens=2)))
    again.text()
    assert again.stats["reused_tokens"] >= qwen.count(beginning) - 2


def test_a_branch_leaves_the_other_branch_in_the_cache(qwen: Resident) -> None:
    beginning = "Once there was a city on seven hills, and each hill had a tower with a bell of its own. " * 4
    ends = [thing * 12 for thing in ("In the first tower ", "The bells ", "In the first tower ")]
    for end in ends:
        asked = Asked(qwen, Generation(beginning + end, Sampling(temperature=0, max_tokens=2)))
        asked.text()
    assert asked.stats["reused_tokens"] == asked.stats["prompt_tokens"] - 1


def test_who_asks_most_does_not_push_others_to_the_end(small: Resident) -> None:
    greedy = [Asked(small, replace(story(thing, 12), owner="greedy")) for thing in THINGS[:3]]
    time.sleep(0.05)
    modest = Asked(small, replace(story("rain", 12), owner="modest"))
    for asked in [*greedy, modest]:
        asked.join(60)
    waits = sorted(asked.stats["queue_s"] for asked in greedy)
    assert modest.stats["queue_s"] <= waits[-1]


def waited(hold: threading.Event) -> None:
    hold.wait(30)


def test_too_many_waiting_are_told_so(small: Resident) -> None:
    hold = threading.Event()
    first = Asked(small, story("ice", 4), Heard(lambda heard: waited(hold)))
    while not first.heard.pieces:
        time.sleep(0.01)
    waiting = [Asked(small, story(thing, 2)) for thing in THINGS[:3]]
    while sum(small.scheduler.load()) < 4:
        time.sleep(0.01)
    refused = Asked(small, story("fire", 2))
    refused.join(30)
    hold.set()
    assert isinstance(refused.error, UserError)
    assert refused.error.code == "busy"
    assert all(asked.text() for asked in [first, *waiting])


def test_who_is_pushed_out_of_a_full_cache_goes_on_later_where_it_was(small: Resident) -> None:
    sampling = Sampling(temperature=0, max_tokens=330, logit_bias={0: -1000.0, 2: -1000.0})
    requests = [Generation(story(thing).prompt, sampling) for thing in THINGS[:2]]
    together = [Asked(small, request) for request in requests]
    texts = [asked.text() for asked in together]
    assert [asked.stats["tokens"] for asked in together] == [330, 330]
    assert [small.count(text) for text in texts] == [pytest.approx(330, abs=5)] * 2  # nothing twice, nothing left out


def test_a_draft_is_read_ahead_and_makes_way(qwen: Resident) -> None:
    whole = story("a lighthouse and its keeper, who counted every ship for forty years")
    ahead = Generation(whole.prompt, read_only=True)
    read = Asked(qwen, ahead)
    read.join(60)
    assert (read.stats["tokens"], read.heard.whole) == (0, "")
    asked = Asked(qwen, whole)
    assert asked.text()
    assert asked.stats["reused_tokens"] == asked.stats["prompt_tokens"]
    again = Asked(qwen, whole)
    assert again.text() == asked.text()
    assert again.stats["reused_tokens"] == again.stats["prompt_tokens"] - 1


def test_reasoning_is_ended_when_its_budget_is_used_up(qwen: Resident) -> None:
    prompt = "<|im_start|>user\nHow many ships?<|im_end|>\n<|im_start|>assistant\n<think>\n"
    limit = ThinkingLimit(budget=6, opened=True)
    asked = Asked(qwen, Generation(prompt, Sampling(temperature=0, max_tokens=30), thinking=limit))
    text = asked.text()
    assert text.count("</think>") == 1
    assert len(qwen.tokenize(text[: text.index("</think>")])) <= 9


def test_adapters_apart_every_request_is_answered_by_its_own(qwen: Resident) -> None:
    """Requests with other adapters cannot share a batch; an unknown one is refused and disturbs nobody."""
    alone = Asked(qwen, story("snow")).text()
    wrong = Asked(qwen, replace(story("snow"), adapters=(AdapterChoice("not-there"),)))
    right = Asked(qwen, story("snow"))
    wrong.join(60)
    assert isinstance(wrong.error, UserError)
    assert wrong.error.code == "unknown_model"
    assert right.text() == alone


def test_which_stop_string_was_met_is_told(qwen: Resident) -> None:
    whole = Asked(qwen, story("rain")).text()
    word = whole.split()[3]
    asked = Asked(qwen, story("rain", stop=("\0never", word)))  # type: ignore[arg-type]
    assert asked.text() == whole[: whole.index(word)]
    assert (asked.stats["stop"], asked.stats["stop_string"]) == ("stop_string", word)
