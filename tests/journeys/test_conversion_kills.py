"""Conversions killed at every stage, cancelled, given up: no half file, nothing left over, the same bytes at last."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import conversion_desk as desk
import pytest
import small_adapter
import whole_checkpoint
from conversion_desk import Moment

from desktop.pipe import EnginePipe
from engine.api.job import Job

WORDS = "The quick brown fox jumps over the lazy dog. 敏捷的狐狸跳过懒狗。\n"
Case = tuple[str, dict[str, Any], list[Callable[[], Moment]]]


class Bench:
    """Sources of every job, in a folder with a space and Chinese in its name; undisturbed results by case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.small = whole_checkpoint.make(folder / "small")
        self.large = whole_checkpoint.make(folder / "large", num_hidden_layers=20)
        config = json.loads((self.large / "config.json").read_text(encoding="utf-8"))
        small_adapter.make_adapter(folder / "lora", config)
        self.text = folder / "text.txt"
        self.text.write_text(WORDS * 150, encoding="utf-8")
        self._made: dict[str, dict[str, str]] = {}
        for name in ("small", "large"):
            self.work("convert", {"source": str(folder / name), "out": str(folder / f"{name}.gguf"), "type": "f16"})
        less = {"source": str(folder / "small.gguf"), "out": str(folder / "less.gguf"), "type": "Q4_0"}
        self.work("quantize", less | {"report": False, "threads": 1})

    def work(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """A job in this process, which nobody disturbs."""
        place = self.folder / "work" / Path(params.get("out") or "x").name
        run = importlib.import_module(f"convert.jobs.{kind}").run
        found: dict[str, Any] = run(params, Job(place, params))
        return found

    def undisturbed(self, name: str) -> dict[str, str]:
        """sha256 of each file that a case makes."""
        if name not in self._made:
            kind, params, _ = self.case(name)
            out = self.folder / "undisturbed" / self.out(name)
            self.work(kind, params | {"out": str(out)})
            self._made[name] = desk.hashes(out)
        return self._made[name]

    def out(self, name: str) -> str:
        """What a case makes is called so; the name of a checkpoint stands in it, too."""
        return name if name in FOLDERS else f"{name}.gguf"

    def case(self, name: str) -> Case:
        """Kind, parameters but for `out`, and when it is killed, one after another."""
        large, small = str(self.folder / "large.gguf"), str(self.folder / "small.gguf")
        reading = {"text": str(self.text), "context": 64, "threads": 1, "gpu_layers": 0}
        staged = {"source": str(self.small), "type": "Q4_K_M", "imatrix": "auto", "text": str(self.text), "threads": 1}
        staged |= {"imatrix_chunks": 3, "report_chunks": 1, "report_text": str(self.text)}
        plainly = {"source": large, "type": "Q4_K_M", "report": False, "threads": 1}
        halves = [{"path": str(self.large), "weight": 0.5}] * 2
        measuring = {"report_chunks": 1, "report_text": str(self.text), "threads": 1}
        pruned = {"model": large, "layers": 3, **reading, **measuring, "chunks": 3}
        rounded = {"source": str(self.small), "rank": 8}  # its matrices take long enough
        residual = {"source": str(self.small), "of": str(self.folder / "less.gguf"), "rank": 4, **measuring}
        after = [lambda n=n: Moment(n) for n in ("influence", "without", "with", "compare")]
        first, second, third = (lambda n=n: Moment(number=n) for n in (1, 2, 3))
        stages = [lambda n=n: Moment(n) for n in ("convert", "quantize", "compare")]
        cases: dict[str, Case] = {
            "plain": ("convert", {"source": str(self.large), "type": "f32"}, [first, first]),
            "staged": ("convert", staged, [*stages[:2], first, stages[2]]),
            "quantized": ("quantize", plainly, [first, third]),
            "matrix": ("imatrix", {"model": small, **reading}, [first, third]),
            "back": ("to_hf", {"source": large, "type": "f32"}, [first, first]),
            "merged": ("merge", {"method": "linear", "models": halves, "type": "f32"}, [first, second]),
            "pruned": ("prune", pruned, [after[0], second, after[3]]),
            "rounded": ("lowrank", rounded, [first, second]),
            "residual": ("lowrank", residual, [second, stages[0], after[1], after[2]]),
            "adapter": ("adapter", {"source": str(self.folder / "lora"), "base": str(self.large)}, [first]),
        }
        return cases[name]


FOLDERS = ("back", "merged", "rounded")
NAMES = ("plain", "staged", "quantized", "matrix", *FOLDERS, "pruned", "residual", "adapter")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench 测试"))


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def engine(own_home: Path) -> Iterator[EnginePipe]:
    """One for all that does not kill it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DESKSIDE_HOME", str(own_home))
        pipe = EnginePipe()
    with pipe:
        yield pipe


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where what is made goes."""
    folder = tmp_path / "输出 folder"
    folder.mkdir()
    return folder


def begin(engine: EnginePipe, bench: Bench, name: str, place: Path) -> tuple[str, Path]:
    """The job's id and what it will make."""
    kind, params, _ = bench.case(name)
    out = place / bench.out(name)
    return desk.start(engine, kind, params | {"out": str(out)}), out


def check_stopped(name: str, bench: Bench, place: Path, out: Path) -> None:
    """Either nothing stands under the final name, or all of it does; and beside it only what can be resumed."""
    partial = f"{out.name}.{bench.case(name)[0]}.partial"
    assert desk.leftovers(place, out) <= {partial}
    assert desk.hashes(out) in ({}, bench.undisturbed(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_job_goes_on_to_the_same_bytes(engine: EnginePipe, bench: Bench, place: Path, name: str) -> None:
    job, out = begin(engine, bench, name, place)
    killed = 0
    for number, moment in enumerate(bench.case(name)[2]):
        row, struck = desk.strike(engine, job, moment())
        killed += struck
        check_stopped(name, bench, place, out)
        if row["state"] == "done":  # it was quicker
            break
        assert (row["state"], row["error"]["code"]) == ("failed", "job_crashed")
        if number % 2:
            engine.ask("jobs.resume", job=job)
        else:
            assert begin(engine, bench, name, place)[0] == job, "the same command takes it up again"
    else:
        row = desk.end(engine, job)
    assert killed, "nothing was killed: the source is too small"
    assert row["state"] == "done", row["error"]
    assert desk.hashes(out) == bench.undisturbed(name)
    assert desk.leftovers(place, out) == set()


@pytest.mark.parametrize(("name", "strike"), [("plain", 0), ("staged", 3), ("quantized", 0), ("merged", 0)])
def test_a_killed_engine_takes_nothing_with_it(bench: Bench, place: Path, name: str, strike: int) -> None:
    with EnginePipe() as engine:
        job, out = begin(engine, bench, name, place)
        desk.until(engine, job, bench.case(name)[2][strike]())
        desk.kill_engine(engine)
    check_stopped(name, bench, place, out)
    with EnginePipe() as engine:
        (row,) = [row for row in engine.ask("jobs.list")["jobs"] if row["job"] == job]
        assert row["state"] == "interrupted"
        engine.ask("jobs.resume", job=job)
        assert desk.end(engine, job)["state"] == "done"
    assert desk.hashes(out) == bench.undisturbed(name)
    assert desk.leftovers(place, out) == set()


def compare_params(bench: Bench) -> dict[str, Any]:
    pair = {"a": str(bench.folder / "small.gguf"), "b": str(bench.folder / "small.gguf")}
    return pair | {"text": str(bench.text), "context": 64, "threads": 1, "gpu_layers": 0}


def test_a_killed_comparison_goes_on(engine: EnginePipe, bench: Bench, own_home: Path) -> None:
    before = {path.name for path in bench.folder.iterdir()}
    job = desk.start(engine, "compare", compare_params(bench))
    desk.until(engine, job, Moment(number=4))
    assert desk.kill_process(engine, job)
    assert desk.end(engine, job)["error"]["code"] == "job_crashed"
    (partial,) = (own_home / "comparisons").iterdir()
    assert (partial / "scores.bin").stat().st_size > 0
    assert desk.start(engine, "compare", compare_params(bench)) == job
    row = desk.end(engine, job)
    assert (row["state"], row["result"]["kl_mean"], row["result"]["top1"]) == ("done", 0.0, 1.0)
    assert row["result"]["tokens"] == bench.work("compare", compare_params(bench))["tokens"]
    assert list((own_home / "comparisons").iterdir()) == []
    assert {path.name for path in bench.folder.iterdir()} - before <= {"work"}, "nothing beside the models"


@pytest.mark.parametrize("name", ["plain", "staged", "quantized", "matrix", "back", "merged"])
def test_cancel_leaves_nothing(engine: EnginePipe, bench: Bench, place: Path, name: str) -> None:
    job, out = begin(engine, bench, name, place)
    row = desk.until(engine, job, bench.case(name)[2][-1]())
    if row.get("state") != "done":
        engine.ask("jobs.cancel", job=job)
        row = desk.end(engine, job)
    if row["state"] == "cancelled":
        assert list(place.iterdir()) == []
    check_stopped(name, bench, place, out)
    assert desk.leftovers(place, out) == set()


def test_cancel_after_a_kill_leaves_nothing(engine: EnginePipe, bench: Bench, place: Path) -> None:
    job, _ = begin(engine, bench, "matrix", place)
    desk.until(engine, job, Moment())  # a later one is too near the end: a slow kill would miss it
    assert desk.kill_process(engine, job)
    assert desk.end(engine, job)["state"] == "failed"
    assert [path.name for path in place.iterdir()] == ["matrix.gguf.imatrix.partial"]
    engine.ask("jobs.cancel", job=job)
    assert list(place.iterdir()) == []


def test_pause_and_go_on(engine: EnginePipe, bench: Bench, place: Path) -> None:
    job, out = begin(engine, bench, "matrix", place)
    desk.until(engine, job, Moment(number=2))
    engine.ask("jobs.pause", job=job)
    assert desk.end(engine, job)["state"] == "interrupted"
    check_stopped("matrix", bench, place, out)
    engine.ask("jobs.resume", job=job)
    assert desk.end(engine, job)["state"] == "done"
    assert desk.hashes(out) == bench.undisturbed("matrix")


@pytest.fixture
def failing(bench: Bench, tmp_path: Path) -> Iterator[dict[str, tuple[str, dict[str, Any]]]]:
    """Jobs that nothing can come of."""
    cut = tmp_path / "cut.gguf"
    cut.write_bytes((bench.folder / "small.gguf").read_bytes()[:5000])
    (tmp_path / "empty").mkdir()
    empty = str(tmp_path / "empty")
    yield {
        "convert": ("no_config", {"source": empty, "type": "f16"}),
        "quantize": ("damaged_model", {"source": str(cut), "type": "Q4_K_M"}),
        "imatrix": ("damaged_model", {"model": str(cut), "text": "builtin"}),
        "to_hf": ("damaged_model", {"source": str(cut)}),
        "merge": ("no_config", {"method": "linear", "models": [{"path": empty}] * 2}),
        "adapter": ("no_config", {"source": str(bench.folder / "lora"), "base": empty}),
    }


@pytest.mark.parametrize("kind", ["convert", "quantize", "imatrix", "to_hf", "merge", "adapter"])
def test_what_fails_at_once_leaves_nothing(
    engine: EnginePipe, failing: dict[str, tuple[str, dict[str, Any]]], place: Path, kind: str
) -> None:
    code, params = failing[kind]
    row = desk.end(engine, desk.start(engine, kind, params | {"out": str(place / "x.gguf")}))
    assert (row["state"], row["error"]["code"]) == ("failed", code), row["error"]
    assert list(place.iterdir()) == []
