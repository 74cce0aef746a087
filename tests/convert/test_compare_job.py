"""The job that compares two models: real ones, an independent slow path, both ways of loading, bad input."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_measured

from convert.compare import KL, NLL_A, NLL_B, SAME, scored
from convert.jobs import compare
from convert.jobs.compare import run
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job
from engine.llama.beside import Reader, Reading
from engine.llama.quantize import Request, quantize

Q2_K, Q8_0 = 10, 7


def asked(a: Path, b: Path, **more: Any) -> dict[str, Any]:
    return {"a": str(a), "b": str(b), "text": "builtin", "context": 64, "threads": 1, "gpu_layers": 0, **more}


def start(params: dict[str, Any], folder: Path) -> dict[str, Any]:
    return run(params, Job(folder, params))


@pytest.fixture(scope="module")
def pair(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two tiny models of one vocabulary."""
    folder = tmp_path_factory.mktemp("pair")
    first = tiny_measured.write(folder / "a.gguf", smollm2).path
    return first, tiny_measured.write(folder / "b.gguf", smollm2, seed=8).path


def test_a_model_against_itself(smollm2: Path, tmp_path: Path) -> None:
    found = start(asked(smollm2, smollm2, chunks=3), tmp_path / "x.partial")
    assert (found["kl_mean"], found["kl_p999"], found["top1"], found["ppl_ratio"]) == (0.0, 0.0, 1.0, 1.0)
    assert (found["verdict"], found["tokens"]) == ("good", 3 * 31)
    assert set(found["languages"]) == {"zh", "en", "code"}
    assert min(found["speed"]["a"]["prefill"], found["speed"]["b"]["decode"]) > 0
    assert found["memory"]["a"] > 50_000_000
    assert not (tmp_path / "x.partial" / "scores.bin").exists()


def test_fewer_bits_are_worse(smollm2: Path, tmp_path: Path) -> None:
    figures = {}
    for kind in (Q8_0, Q2_K):
        out = tmp_path / f"{kind}.gguf"
        (tmp_path / "work").mkdir(exist_ok=True)
        quantize(Request(smollm2, out, tmp_path / "work", kind, allow_requantize=True, threads=1))
        params = asked(smollm2, out, chunks=3)
        figures[kind] = start(params, tmp_path / f"{kind}.partial")
    fine, rough = figures[Q8_0], figures[Q2_K]
    assert 0 < fine["kl_mean"] < 0.01 < 10 * fine["kl_mean"] < rough["kl_mean"]
    assert rough["top1"] < fine["top1"]
    assert rough["verdict"] != "good"
    assert rough["files"]["b"] < rough["files"]["a"]


def token_by_token(model: Path, tokens: list[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Log-probabilities of every position, computed one token at a time: another way through llama.cpp and numpy."""
    import llama_cpp

    reader = Reader(model, Reading(64, 1, 1, 0))
    rows = []
    for token in tokens:
        batch = llama_cpp.llama_batch_get_one((llama_cpp.llama_token * 1)(token), 1)
        assert llama_cpp.llama_decode(reader.model.context, batch) == 0
        row = np.array(llama_cpp.llama_get_logits_ith(reader.model.context, 0)[: reader.model.vocab_size], np.float64)
        rows.append(row - np.logaddexp.reduce(row))
    reader.close()
    return np.array(rows)


def test_the_scores_are_those_of_an_independent_slow_path(
    pair: tuple[Path, Path], tmp_path: Path, smollm2: Path
) -> None:
    (tmp_path / "text.txt").write_text(
        "The old lighthouse keeper counted ships by their lamps. " * 12, encoding="utf-8"
    )
    params = asked(*pair, text=str(tmp_path / "text.txt"), chunks=1)
    found = start(params, tmp_path / "x.partial")
    reader = Reader(pair[0], Reading(64, 1, 1, 0))
    tokens = reader.chunk(reader.model.tokenize((tmp_path / "text.txt").read_text(encoding="utf-8"))[:64])
    reader.close()
    a, b = (token_by_token(model, tokens) for model in pair)
    places = list(scored(64))
    kl = [(np.exp(a[place]) * (a[place] - b[place])).sum() for place in places]
    assert found["kl_mean"] == pytest.approx(np.mean(kl), rel=1e-2)
    assert found["top1"] == np.mean([a[place].argmax() == b[place].argmax() for place in places])
    for name, model in (("ppl_a", a), ("ppl_b", b)):
        nll = -np.mean([model[place][tokens[place + 1]] for place in places])
        assert found[name] == pytest.approx(np.exp(nll), rel=1e-2)


def test_taking_turns_gives_the_same_figures(pair: tuple[Path, Path], tmp_path: Path) -> None:
    both = start(asked(*pair, chunks=5, together=True), tmp_path / "x.partial")
    turns = start(asked(*pair, chunks=5, together=False), tmp_path / "y.partial")
    for name in ("kl_mean", "kl_p999", "top1", "ppl_a", "ppl_b", "languages"):
        assert turns[name] == both[name], name


def test_cancelled_it_goes_on_where_it_was(pair: tuple[Path, Path], tmp_path: Path) -> None:
    params, stop, folder = asked(*pair, chunks=9), threading.Event(), tmp_path / "x.partial"

    def report(event: dict[str, Any]) -> None:
        if event["done"] >= 4 * 64:
            stop.set()

    with pytest.raises(Cancelled):
        run(params, Job(folder, params, report, stop))
    kept = (folder / "scores.bin").stat().st_size
    assert 0 < kept <= 9 * 31 * 16
    with (folder / "scores.bin").open("ab") as file:
        file.write(b"half a chunk")
    events: list[dict[str, Any]] = []
    found = run(params, Job(folder, params, events.append))
    assert events[0]["done"] == kept // (31 * 16) * 64
    assert found["kl_mean"] == start(params, tmp_path / "y.partial")["kl_mean"]


def test_other_vocabularies_are_refused(smollm2: Path, qwen_coder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        start(asked(smollm2, qwen_coder, chunks=1), tmp_path / "x.partial")
    assert caught.value.code == "other_vocabulary"


@pytest.mark.parametrize(("content", "code"), [(None, "vanished_model"), (b"{}", "not_gguf"), (b"", "empty_file")])
@pytest.mark.parametrize("which", ["a", "b"])
def test_what_is_no_model_is_said_beforehand(
    content: bytes | None, code: str, which: str, smollm2: Path, tmp_path: Path
) -> None:
    file = tmp_path / "x.gguf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as error:
        start(asked(smollm2, smollm2) | {which: str(file)}, tmp_path / "x.partial")
    assert (error.value.code, error.value.values["name"]) == (code, "x.gguf")


def test_a_broken_result_is_named(smollm2: Path, tmp_path: Path) -> None:
    good = tiny_measured.write(tmp_path / "good.gguf", smollm2)
    data = bytearray(good.path.read_bytes())
    place = data.index(good.weights["blk.1.ffn_norm.weight"].tobytes())
    data[place : place + 4] = np.float32(np.nan).tobytes()
    (tmp_path / "broken.gguf").write_bytes(bytes(data))
    with pytest.raises(UserError) as caught:
        start(asked(good.path, tmp_path / "broken.gguf", chunks=1), tmp_path / "x.partial")
    assert (caught.value.code, caught.value.values["name"]) == ("broken_logits", "broken.gguf")


def test_what_was_found_goes_into_the_result_s_report(pair: tuple[Path, Path], tmp_path: Path) -> None:
    from convert.report import Facts, read, write
    from engine.api.report_files import report_file

    made = tmp_path / "made.gguf"
    made.symlink_to(pair[0])
    write(made, Facts({"name": "source"}, {"name": "made"}))
    found = start(asked(pair[0], made, chunks=2), tmp_path / "x.partial")
    assert found["report"] == str(report_file(made))
    assert read(made)["quality"]["verdict"] == "good"
    assert start(asked(made, pair[0], chunks=2), tmp_path / "y.partial")["report"] == ""


def test_models_that_do_not_fit_together_take_turns(pair: tuple[Path, Path]) -> None:
    assert compare.both_fit(pair)


def test_columns_are_where_they_are_said_to_be() -> None:
    assert (KL, SAME, NLL_A, NLL_B) == (0, 1, 2, 3)
