"""A loaded model and llama.cpp underneath it, with real models: what is promised about an answer holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from real_models import qwen_coder, smollm2

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.messages import Stats
from engine.api.sampling import Sampling
from engine.api.settings import Settings
from engine.generation import Generation
from engine.llama.load import LoadSettings
from engine.resident import Resident, Serving, take_in
from engine.residents import Residents, Wanted

# One thread: llama.cpp's threads wait for each other spinning, which a busy machine makes very slow.
SETTINGS = LoadSettings(context_size=512, threads=1)
GREEDY = Sampling(temperature=0)
STORY = "Once upon a time there was a small cat who lived by the sea. Every morning"


class Heard:
    """A listener that keeps what it hears and may act on it."""

    def __init__(self, act: Callable[[Heard], None] = lambda heard: None) -> None:
        self.pieces: list[str] = []
        self.prefills: list[tuple[int, int, float | None]] = []
        self._act = act

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        self.prefills.append((done, total, left_s))

    def text(self, piece: str) -> None:
        self.pieces.append(piece)
        self._act(self)

    @property
    def whole(self) -> str:
        return "".join(self.pieces)


@pytest.fixture(scope="module")
def worker() -> Iterator[Resident]:
    made = take_in("smollm2", smollm2(), SETTINGS, Serving(), lambda done: True)
    yield made
    made.stop()
    made.close()


def table(path: Path) -> Residents:
    """Models by any name, all of them in this file."""
    return Residents(lambda model: Wanted(path, SETTINGS, Serving()), lambda *asked: 0, lambda model, size: None)


def asking(prompt: str, sampling: Sampling, tokens: int = 0, stop: tuple[str, ...] = ()) -> Generation:
    """A request for at most `tokens` tokens."""
    return Generation(prompt, replace(sampling, max_tokens=tokens, stop=stop))


def write(
    worker: Resident, prompt: str = STORY, sampling: Sampling = GREEDY, tokens: int = 12, stop: tuple[str, ...] = ()
) -> tuple[str, Stats]:
    heard = Heard()
    stats = worker.generate(asking(prompt, sampling, tokens, stop), heard, threading.Event())
    return heard.whole, stats


def cold(worker: Resident) -> None:
    """Fill the cache, and what is parked beside it, with something else."""
    for filler in ("zzz 123 ", "one 987 "):
        write(worker, filler * 70, tokens=1)


def test_what_is_known_of_a_loaded_model(worker: Resident) -> None:
    loaded = worker.info
    assert (loaded.model, loaded.context_size, loaded.train_context) == ("smollm2", 512, 8192)
    assert (loaded.bos, loaded.eos) == ("<|im_start|>", "<|im_end|>")
    assert loaded.template is not None and "<|im_start|>" in loaded.template
    assert loaded.memory["weights"] > 90_000_000
    assert loaded.memory["kv_cache"] == 512 * 30 * 2 * 192 * 2  # cells, layers, K and V, width, bytes
    assert loaded.memory["compute"] > 0


def test_loading_the_same_again_is_there_at_once() -> None:
    residents, heard = table(smollm2()), list[float]()
    use = residents.use
    with (
        use("smollm2", lambda done: None, threading.Event()) as first,
        use("smollm2", heard.append, threading.Event()) as again,
    ):
        assert again is first
    assert heard == []
    residents.close()


def test_the_same_seed_writes_the_same_text_and_another_seed_another(worker: Resident) -> None:
    warm = [write(worker, sampling=Sampling(temperature=1.5, min_p=0, seed=seed), tokens=20)[0] for seed in (7, 7, 8)]
    assert warm[0] == warm[1] != warm[2]


def test_temperature_zero_is_repeatable_and_figures_are_whole(worker: Resident) -> None:
    cold(worker)
    text, stats = write(worker)
    again, _ = write(worker)
    assert text == again != ""
    assert stats["stop"] == "length"
    assert (stats["tokens"], stats["reused_tokens"]) == (12, 0)
    assert stats["prompt_tokens"] == worker.count(STORY)
    assert stats["context_used"] == stats["prompt_tokens"] + 11
    assert stats["context_size"] == 512
    assert 0 < stats["prefill_s"] <= stats["first_token_s"]
    assert stats["tokens_per_s"] == pytest.approx(11 / stats["decode_s"])


def test_a_longer_conversation_reads_only_what_is_new(worker: Resident) -> None:
    cold(worker)
    first, stats = write(worker)
    longer = STORY + first + " And then the dog said:"
    warm, again = write(worker, longer)
    assert again["reused_tokens"] >= stats["prompt_tokens"] + 8
    cold(worker)
    fresh, none = write(worker, longer)
    assert none["reused_tokens"] == 0
    assert fresh == warm


def test_a_branch_reuses_the_shared_beginning_only(worker: Resident) -> None:
    cold(worker)
    write(worker, STORY + " the fish swam")
    branch, stats = write(worker, STORY + " a bird sang")
    assert stats["reused_tokens"] == worker.count(STORY)
    cold(worker)
    assert write(worker, STORY + " a bird sang")[0] == branch


def test_the_same_prompt_again_still_has_logits_to_go_on_from(worker: Resident) -> None:
    text, _ = write(worker)
    again, stats = write(worker)
    assert again == text
    assert stats["reused_tokens"] == stats["prompt_tokens"] - 1


def test_a_stop_string_never_leaks(worker: Resident) -> None:
    whole, _ = write(worker, tokens=30)
    for start in (3, 10, 21):
        stop = whole[start : start + 9]
        heard = Heard()
        stats = worker.generate(asking(STORY, GREEDY, 30, (stop, "\0never")), heard, threading.Event())
        assert stats["stop"] == "stop_string"
        assert heard.whole == whole[: whole.index(stop)]


def test_text_held_back_for_a_stop_string_that_never_came_is_written(worker: Resident) -> None:
    whole, _ = write(worker, tokens=10)
    kept, stats = write(worker, tokens=10, stop=(whole[-3:] + "\0",))
    assert (kept, stats["stop"]) == (whole, "length")


def test_cancel_ends_within_a_token_and_leaves_a_usable_cache(worker: Resident) -> None:
    cold(worker)
    whole, _ = write(worker, tokens=30)
    cold(worker)
    cancelled = threading.Event()
    heard = Heard(lambda heard: cancelled.set() if len(heard.pieces) == 5 else None)
    stats = worker.generate(asking(STORY, GREEDY, 30), heard, cancelled)
    assert (stats["stop"], len(heard.pieces)) == ("cancelled", 5)
    assert whole.startswith(heard.whole)
    text, after = write(worker, tokens=30)
    assert (text, after["reused_tokens"]) == (whole, after["prompt_tokens"] - 1)


def test_cancel_while_the_prompt_is_read(worker: Resident) -> None:
    cold(worker)
    cancelled = threading.Event()
    heard = Heard()
    timer = threading.Timer(0.1, cancelled.set)
    timer.start()
    stats = worker.generate(asking(STORY * 20, GREEDY, 5), heard, cancelled)
    timer.join()
    assert (stats["stop"], stats["tokens"], heard.whole) == ("cancelled", 0, "")
    assert write(worker)[1]["stop"] == "length"


def test_reading_a_long_prompt_is_told_step_by_step(worker: Resident) -> None:
    cold(worker)
    heard = Heard()
    stats = worker.generate(asking(STORY * 20, GREEDY, 1), heard, threading.Event())
    done = [step[0] for step in heard.prefills]
    assert len(done) > 1
    assert done == sorted(done)
    assert heard.prefills[-1] == (stats["prompt_tokens"], stats["prompt_tokens"], 0.0)
    assert all(left is not None and left > 0 for _, _, left in heard.prefills[:-1])


def test_a_full_context_ends_the_answer(worker: Resident) -> None:
    prompt = STORY * 25 + " la la la"
    assert 400 < worker.count(prompt) < 512
    text, stats = write(worker, prompt, Sampling(temperature=0, logit_bias={0: -1000, 2: -1000, 4: -1000}), tokens=0)
    assert stats["stop"] == "context"
    assert stats["context_used"] == 512
    assert stats["tokens"] == 512 - stats["prompt_tokens"] + 1
    assert text


def test_a_prompt_longer_than_the_context_says_by_how_much(worker: Resident) -> None:
    prompt = STORY * 40
    with pytest.raises(UserError) as error:
        write(worker, prompt)
    assert error.value.code == "context_too_long"
    assert error.value.values["over"] == worker.count(prompt) - 511
    assert write(worker)[1]["stop"] == "length"


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(top_k=5),
        Sampling(top_k=0, top_p=0.5, min_p=0),
        Sampling(top_k=0, top_p=1, min_p=0.2),
        Sampling(xtc_probability=0.9, xtc_threshold=0.05),
        Sampling(mirostat=1),
        Sampling(mirostat=2, mirostat_tau=3, mirostat_eta=0.2),
        Sampling(dry_multiplier=0.8, dry_penalty_last_n=-1),
        Sampling(repeat_penalty=1.2, repeat_last_n=-1, frequency_penalty=0.5, presence_penalty=0.5),
        Sampling(temperature=5.0, seed=4_294_967_294),
        Sampling(logit_bias={10**9: 5.0, -4: 1.0}),
    ],
    ids=lambda sampling: ",".join(sampling.to_json()),
)
def test_every_sampler_runs_and_obeys_its_seed(worker: Resident, sampling: Sampling) -> None:
    fixed = Sampling(**{"seed": 3, **sampling.to_json()})
    texts = [write(worker, sampling=fixed, tokens=8) for _ in range(2)]
    assert texts[0][0] == texts[1][0]
    assert texts[0][1]["tokens"] == 8


def test_top_k_of_one_is_the_greedy_choice(worker: Resident) -> None:
    assert write(worker, sampling=Sampling(top_k=1, temperature=2.0))[0] == write(worker)[0]


def test_penalties_and_dry_break_a_loop(worker: Resident) -> None:
    loop = "one two three four. " * 12 + "one"
    again = " two three four."
    assert write(worker, loop, tokens=8)[0].startswith(again)
    for sampling in (Sampling(temperature=0, repeat_penalty=2.0), Sampling(temperature=0, dry_multiplier=5.0)):
        assert again not in write(worker, loop, sampling, 8)[0]


def test_logit_bias_forces_and_bans_a_token(worker: Resident) -> None:
    token = worker.tokenize(" fish")[0]
    assert write(worker, sampling=Sampling(temperature=0, logit_bias={token: 1000}), tokens=4)[0] == " fish" * 4
    text, _ = write(worker, tokens=1)
    banned = worker.tokenize(text)[0]
    assert write(worker, sampling=Sampling(temperature=0, logit_bias={banned: -1000}), tokens=1)[0] != text


def test_control_tokens_are_read_as_such_only_where_asked(worker: Resident) -> None:
    assert worker.tokenize("<|im_end|>") == [2]
    assert len(worker.tokenize("<|im_end|>", special=False)) > 1


def test_odd_text_is_cut_into_tokens(worker: Resident) -> None:
    assert worker.count("") == 0
    assert worker.count("a\0b") > 1
    assert worker.count("\ud800 lone surrogate") > 1
    assert worker.count("😀 你好") > 2


def test_nothing_to_answer_is_said(worker: Resident) -> None:
    with pytest.raises(UserError, match="nothing to answer"):
        write(worker, "")


def test_an_exception_of_the_listener_reaches_the_caller_and_the_worker_lives(worker: Resident) -> None:
    def fail(heard: Heard) -> None:
        raise RuntimeError("the listener broke")

    with pytest.raises(RuntimeError, match="the listener broke"):
        worker.generate(asking(STORY, GREEDY, 5), Heard(fail), threading.Event())
    assert write(worker)[1]["stop"] == "length"


def test_questions_are_answered_while_an_answer_is_written_and_waiting_ones_can_leave(worker: Resident) -> None:
    began, go_on = threading.Event(), threading.Event()

    def hold(heard: Heard) -> None:
        began.set()
        go_on.wait(30)

    results: list[Stats] = []
    first = threading.Thread(
        target=lambda: results.append(worker.generate(asking(STORY, GREEDY, 3), Heard(hold), threading.Event()))
    )
    first.start()
    assert began.wait(30)
    assert worker.count("a b") == 2
    leaving = threading.Event()
    leaving.set()
    with pytest.raises(Cancelled):
        worker.generate(asking(STORY, GREEDY, 3), Heard(), leaving)
    go_on.set()
    first.join(30)
    assert results[0]["tokens"] == 3


def test_chinese_streams_without_broken_letters() -> None:
    qwen = take_in("qwen", qwen_coder(), SETTINGS, Serving(), lambda done: True)
    prompt = "<|im_start|>user\n用三句话介绍一下长城，并加上一个表情。<|im_end|>\n<|im_start|>assistant\n"
    heard = Heard()
    stats = qwen.generate(asking(prompt, GREEDY, 40), heard, threading.Event())
    qwen.stop()
    qwen.close()
    assert stats["tokens"] > 10
    assert "\ufffd" not in heard.whole
    assert sum("\u4e00" <= letter <= "\u9fff" for letter in heard.whole) > 15


def code_of(path: Path) -> UserError:
    residents = table(path)
    with pytest.raises(UserError) as error, residents.use("bad", lambda done: None, threading.Event()):
        raise AssertionError("it was loaded")
    assert residents.loaded() == []
    residents.close()
    return error.value


def test_bad_files_are_refused_with_a_reason(tmp_path: Path) -> None:
    cut, empty, text = tmp_path / "cut.gguf", tmp_path / "empty.gguf", tmp_path / "text.gguf"
    with smollm2().open("rb") as file:
        cut.write_bytes(file.read(20_000_000))
    empty.write_bytes(b"")
    text.write_text("not a model at all", encoding="utf-8")
    errors = [code_of(path) for path in (cut, empty, text, tmp_path / "gone.gguf")]
    assert [error.code for error in errors] == [*["damaged_model"] * 3, "vanished_model"]
    assert "not within the file bounds" in errors[0].text


def test_loading_tells_its_progress_and_can_be_cancelled() -> None:
    residents = table(smollm2())
    cancelled, heard = threading.Event(), list[float]()

    def progress(done: float) -> None:
        heard.append(done)
        cancelled.set()

    with pytest.raises(Cancelled), residents.use("smollm2", progress, cancelled):
        raise AssertionError("it was loaded")
    assert residents.loaded() == []
    with residents.use("smollm2", heard.append, threading.Event()) as resident:
        assert heard[-1] == 1.0
        assert residents.loaded() == [resident]
    residents.unload("smollm2")
    assert residents.loaded() == []
    residents.close()
    with pytest.raises(UserError, match="shutting down"), residents.use("x", heard.append, threading.Event()):
        raise AssertionError("it was loaded")


def test_closing_ends_the_answer_in_progress() -> None:
    residents = table(smollm2())
    began, results = threading.Event(), list[Stats]()

    def ask() -> None:
        with residents.use("smollm2", lambda done: None, threading.Event()) as resident:
            heard = Heard(lambda heard: began.set())
            results.append(resident.generate(asking(STORY, GREEDY, 400), heard, threading.Event()))

    thread = threading.Thread(target=ask)
    thread.start()
    assert began.wait(30)
    residents.close()
    thread.join(30)
    assert results[0]["stop"] == "cancelled"


def test_the_least_recently_used_model_makes_room(tmp_path: Path) -> None:
    changed: list[str] = []
    residents = Residents(
        lambda model: Wanted(smollm2(), SETTINGS, Serving()),
        lambda *asked: 0,
        lambda model, size: changed.append(model),
    )
    residents.follow(Settings(models_at_once=2))
    for model in ("one", "two", "one", "three"):
        with residents.use(model, lambda done: None, threading.Event()):
            pass
    assert [resident.info.model for resident in residents.loaded()] == ["three", "one"]
    assert changed == ["one", "two", "one", "three"]
    residents.close()


def test_a_model_in_use_is_waited_for_and_not_unloaded() -> None:
    residents = table(smollm2())
    residents.follow(Settings(models_at_once=1))
    leaving = threading.Event()
    with residents.use("one", lambda done: None, threading.Event()) as one:
        timer = threading.Timer(0.2, leaving.set)
        timer.start()
        with pytest.raises(Cancelled), residents.use("two", lambda done: None, leaving):
            raise AssertionError("it was loaded")
        assert one.count("a b") == 2
        timer.join()
    with residents.use("two", lambda done: None, threading.Event()):
        assert [resident.info.model for resident in residents.loaded()] == ["two"]
    residents.close()
