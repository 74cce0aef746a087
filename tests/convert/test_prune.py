"""The job: blocks left out of a model, the rest byte for byte what it was, and the report that says what it cost."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest
import tiny_measured
import tiny_quantizable
from llama_logits import loads
from tiny_quantizable import Tiny

from convert.gguf_file import header_bytes
from convert.gguf_source import open_gguf
from convert.jobs.prune import run
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job
from models.gguf_reader import read_raw


def prune(folder: Path, model: Path, layers: Any, name: str = "out", **more: Any) -> dict[str, Any]:
    params = {"model": str(model), "out": str(folder / f"{name}.gguf"), "layers": layers, "threads": 1, **more}
    return run({"report": False, **params}, Job(folder / f"{name}.partial", params))


def tensors(file: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    found, raw = {}, file.read_bytes()
    listed = sorted(read_raw(file).inventory, key=lambda tensor: tensor.start)
    for tensor, end in zip(listed, [*(later.start for later in listed[1:]), len(raw)], strict=True):
        found[tensor.name] = (tensor.type, tensor.shape, raw[tensor.start : end].rstrip(b"\0"))
    return found


def renumbered(name: str, layers: list[int]) -> str:
    head, _, rest = name.partition(".")
    if head != "blk":
        return name
    number, _, end = rest.partition(".")
    return "" if int(number) in layers else f"blk.{int(number) - sum(one < int(number) for one in layers)}.{end}"


def rewritten(source: Path, target: Path, **values: tuple[str, Any]) -> Path:
    """A model with other values in its header."""
    model, raw = open_gguf(source), read_raw(source)
    begin = min(tensor.start for tensor in raw.inventory)

    class Described:
        def __init__(self, name: str, shape: tuple[int, ...], type: str, offset: int) -> None:
            self.name, self.shape, self.type, self.offset = name, shape, type, offset

    listed = [Described(one.name, one.shape[::-1], one.type, one.start - begin) for one in raw.inventory]
    entries = model.entries | {name.replace("__", "."): value for name, value in values.items()}
    target.write_bytes(header_bytes(entries, listed) + source.read_bytes()[begin:])
    return target


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Tiny(layers=6, kv_heads=2, dtype="F16")
    return tiny_quantizable.write(tmp_path_factory.mktemp("prune") / "tiny.gguf", made)


def test_what_stays_is_byte_for_byte_what_it_was(tiny: Path, tmp_path: Path) -> None:
    done = prune(tmp_path, tiny, [4, 1])
    out = Path(done["path"])
    before = tensors(tiny)
    wanted = {new: before[name] for name in before if (new := renumbered(name, [1, 4]))}
    assert tensors(out) == wanted
    assert read_raw(out).values["llama.block_count"] == 4
    assert done["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (done["layers"], done["blocks"], done["bytes"]) == ([1, 4], 6, out.stat().st_size)
    assert "2 of 6 blocks are left out (1, 4)" in done["warnings"][0]
    assert "not measured" in done["warnings"][1]
    assert [note["code"] for note in done["notes"]] == ["blocks_left_out", "prune_unmeasured"]


def test_lists_with_a_value_a_block_stay_right(tiny: Path, tmp_path: Path) -> None:
    lists: dict[str, tuple[str, Any]] = {"llama__attention__head_count_kv": ("[i32]", [2, 2, 4, 2, 1, 2])}
    lists |= {"llama__feed_forward_length": ("[i32]", [10, 11, 12, 13, 14, 15])}
    lists |= {"llama__kept": ("[f32]", [0.5, 1.5]), "llama__some": ("[bool]", [True, False] * 3)}
    model = rewritten(tiny, tmp_path / "lists.gguf", **lists)
    done = prune(tmp_path, model, [2, 4])
    values = read_raw(Path(done["path"])).values
    assert values["llama.attention.head_count_kv"] == [2, 2, 2, 2]
    assert values["llama.feed_forward_length"] == [10, 11, 13, 15]
    assert (values["llama.some"], values["llama.kept"]) == ([True, False, False, False], [0.5, 1.5])
    before = tensors(model)
    assert tensors(Path(done["path"])) == {new: before[n] for n in before if (new := renumbered(n, [2, 4]))}
    assert {"general.architecture", "llama.block_count"} <= set(values)


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_whatever_the_headers_padding_is(tiny: Path, tmp_path: Path, length: int) -> None:
    named = {"general__name": ("str", "x" * length), "llama__attention__head_count_kv": ("[i32]", [2] * 6)}
    model = rewritten(tiny, tmp_path / "named.gguf", **named)
    done = prune(tmp_path, model, [3])
    before = tensors(model)
    assert tensors(Path(done["path"])) == {new: before[n] for n in before if (new := renumbered(n, [3]))}


def test_a_real_model_runs_on_without_its_least_blocks(smollm2: Path, tmp_path: Path) -> None:
    done = prune(tmp_path, smollm2, 2, chunks=1, context=64)
    assert len(done["influence"]) == 30
    inner = {int(block): score for block, score in done["influence"].items() if 0 < int(block) < 29}
    assert done["layers"] == sorted(sorted(inner, key=lambda block: inner[block])[:2])
    assert loads(Path(done["path"])) == 49152
    assert read_raw(Path(done["path"])).values["llama.block_count"] == 28


def test_what_it_cost_is_measured_and_said(smollm2: Path, tmp_path: Path) -> None:
    model = tiny_measured.write(tmp_path / "m.gguf", smollm2, layers=4).path
    done = prune(tmp_path, model, 1, report=True, report_chunks=1, chunks=1, context=64, gpu_layers=0)
    report = json.loads(Path(done["report"]).read_text(encoding="utf-8"))
    assert report["settings"]["layers"] == done["layers"]
    assert report["quality"]["verdict"] == done["comparison"]["verdict"]
    assert done["comparison"]["kl_mean"] > 0
    told = f"{100 * done['comparison']['top1']:.0f} % of the time"
    assert told in report["warnings"][1]
    card = (tmp_path / "out.md").read_text(encoding="utf-8")
    assert told in card
    assert f"1 of 4 blocks are left out ({done['layers'][0]})" in card


def test_what_is_left_can_be_quantized(tiny: Path, tmp_path: Path) -> None:
    plain = tiny_quantizable.write(tmp_path / "plain.gguf", Tiny(layers=4, dtype="F32"))
    assert prune(tmp_path, plain, [2], "same")["type"] == "F32"
    done = prune(tmp_path, tiny, [2], type="q8_0")
    found = read_raw(Path(done["path"]))
    assert done["type"] == "Q8_0"
    assert {tensor.type for tensor in found.inventory if "attn_q" in tensor.name} == {"Q8_0"}
    assert found.values["llama.block_count"] == 5


def test_what_cannot_be(tiny: Path, tmp_path: Path) -> None:
    other = tiny_quantizable.write(tmp_path / "other.gguf", Tiny(architecture="t5"))
    for model, layers, code in (
        (tiny, [0], "bad_layers"),
        (tiny, 5, "bad_layers"),
        (tiny, "x", "bad_layers"),
        (other, [1], "no_prune"),
    ):
        with pytest.raises(UserError) as caught:
            prune(tmp_path, model, layers, f"{code}{layers}")
        assert caught.value.code == code
    params = {"model": str(tiny), "out": str(tiny), "layers": [1]}
    with pytest.raises(UserError) as caught:
        run(params, Job(tmp_path / "self.partial", params))
    assert caught.value.code == "same_file"
    assert not list(tmp_path.glob("bad*.gguf"))


def test_a_cancelled_one_leaves_no_file_and_goes_on(tiny: Path, tmp_path: Path) -> None:
    params = {"model": str(tiny), "out": str(tmp_path / "c.gguf"), "layers": [1], "report": False}
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        run(params, Job(tmp_path / "c.partial", params, cancelled=stop))
    assert not (tmp_path / "c.gguf").exists()
    assert Path(run(params, Job(tmp_path / "c.partial", params))["path"]).exists()
