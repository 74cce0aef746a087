"""Eyes of models that see: the file is upstream's, llama.cpp looks through it, and a part of one is no file."""

from __future__ import annotations

import ctypes
import json
from pathlib import Path
from typing import Any

import gguf_reading
import numpy as np
import numpy.typing as npt
import plain_clip
import pytest
import small_checkpoint
import tiny_eyes
import tiny_vision
import upstream_converter
from real_models import smollm2

from convert.checkpoint import open_checkpoint
from engine.api.errors import UserError
from engine.api.job import Job

TYPES = ("f32", "f16", "bf16", "q8_0")
# Upstream stops at CLIP's eyes, and leaves out the vector of a line's end, without which llama.cpp loads no Pixtral.
CONVERTED = [kind for kind in tiny_eyes.KINDS if kind != "llava"]
WITH_LINE_END = ("mistral3", "pixtral")


def converted(source: Path, out: Path, kind: str = "f32", **more: Any) -> dict[str, Any]:
    from convert.jobs.convert import run

    work = out.with_suffix(".partial")
    work.mkdir(exist_ok=True)
    params = {"source": str(source), "out": str(out), "type": kind, "projector": True} | more
    return run(params, Job(work, params))


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("eyes")
    places = {kind: tiny_eyes.make(kind, folder / kind) for kind in CONVERTED}
    outs = {(kind, of): folder / f"{kind}.{of}.gguf" for kind in CONVERTED for of in TYPES}
    jobs = [upstream_converter.Job(str(places[kind]), str(out), of, eyes=True) for (kind, of), out in outs.items()]
    assert upstream_converter.convert_all(jobs) == [""] * len(jobs)
    return outs


@pytest.mark.parametrize("of", TYPES)
@pytest.mark.parametrize("kind", CONVERTED)
def test_the_file_is_upstreams(upstream: dict[tuple[str, str], Path], tmp_path: Path, kind: str, of: str) -> None:
    converted(tiny_eyes.make(kind, tmp_path / kind), tmp_path / "eyes.gguf", of)
    ours, wanted = gguf_reading.read(tmp_path / "eyes.gguf"), gguf_reading.read(upstream[kind, of])
    assert ours.entries == wanted.entries
    more = {"v.token_embd.img_break"} if kind in WITH_LINE_END else set()
    assert set(ours.tensors) == set(wanted.tensors) | more
    assert [name for name, tensor in wanted.tensors.items() if ours.tensors[name] != tensor] == []


@pytest.mark.parametrize("kind", tiny_eyes.KINDS)
def test_llama_looks_through_it(tmp_path: Path, kind: str) -> None:
    from engine.generation import MEDIA_MARK
    from engine.llama.load import LoadSettings, load
    from engine.llama.media import Medium, Projector

    converted(tiny_eyes.make(kind, tmp_path / kind), tmp_path / "eyes.gguf")
    model = load(smollm2(), LoadSettings(context_size=256, threads=1, gpu_layers=0, batch_size=128, ubatch=128))
    eyes = Projector(model, tmp_path / "eyes.gguf")
    seen = [piece for piece in eyes.cut(MEDIA_MARK, (tiny_vision.png(side=56),)) if isinstance(piece, Medium)]
    read = kind.startswith("qwen") or eyes.read(seen[0], model.context, 0, 0)  # Qwen's positions are no SmolLM's
    eyes.close()
    model.close()
    assert seen[0].tokens > 1 and read in (True, seen[0].positions)


def test_llavas_vectors_are_the_networks_but_for_the_order_that_llama_gives_them(tmp_path: Path) -> None:
    """llama.cpp puts the vector of the whole picture behind the patches and drops the first patch, not that vector.

    So the file is right and the answer is not: where the second line fails, llama.cpp has been mended.
    """
    folder = tiny_eyes.make("llava", tmp_path / "llava")
    converted(folder, tmp_path / "eyes.gguf")
    pixels = np.random.default_rng(5).integers(0, 256, (tiny_eyes.SIDE, tiny_eyes.SIDE, 3), np.uint8)
    found = looked_at(tmp_path / "eyes.gguf", pixels)
    tensors = {name: each.array().astype(np.float32) for name, each in open_checkpoint(folder).tensors.items()}
    mean, deviation = (np.array(tiny_eyes.PICTURES[f"image_{name}"]) for name in ("mean", "std"))
    picture = ((pixels / 255 - mean) / deviation).transpose(2, 0, 1).astype(np.float32)
    assert np.abs(found - plain_clip.seen(tensors, picture, first=False)).max() < 2e-2
    assert np.abs(found - plain_clip.seen(tensors, picture, first=True)).max() > 0.5


def looked_at(path: Path, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What llama.cpp makes of a picture (side, side, 3): (tokens, width)."""
    from engine.generation import MEDIA_MARK
    from engine.llama.load import LoadSettings, load
    from engine.llama.media import Medium, Projector

    png = tiny_vision.png_of(len(pixels), len(pixels), b"".join(b"\0" + row.tobytes() for row in pixels))
    model = load(smollm2(), LoadSettings(context_size=256, threads=1, gpu_layers=0, batch_size=128, ubatch=128))
    eyes = Projector(model, path)
    (medium,) = (piece for piece in eyes.cut(MEDIA_MARK, (png,)) if isinstance(piece, Medium))
    assert eyes._mtmd.mtmd_encode_chunk(eyes._handle, medium.handle) == 0
    vectors = ctypes.cast(eyes._mtmd.mtmd_get_output_embd(eyes._handle), ctypes.POINTER(ctypes.c_float))
    found = np.ctypeslib.as_array(vectors, (medium.tokens, tiny_eyes.TEXT)).copy()
    eyes.close()
    model.close()
    return found


def test_a_line_ends_with_the_language_models_own_vector(tmp_path: Path) -> None:
    folder = tiny_eyes.make("pixtral", tmp_path / "pixtral")
    converted(folder, tmp_path / "eyes.gguf")
    wanted = open_checkpoint(folder).tensors["language_model.model.embed_tokens.weight"].array()[tiny_eyes.LINE_END]
    assert gguf_reading.read(tmp_path / "eyes.gguf").tensors["v.token_embd.img_break"].data == wanted.tobytes()


def refused(folder: Path, out: Path, **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        converted(folder, out, **more)
    assert not out.exists()
    return caught.value.code


def test_a_part_of_the_tower_is_no_file(tmp_path: Path) -> None:
    folder = tiny_eyes.make("smolvlm", tmp_path / "smolvlm")
    whole = {name: tensor.array().copy() for name, tensor in open_checkpoint(folder).tensors.items()}
    few = {name: values for name, values in whole.items() if ".layers.3." not in name}
    small_checkpoint.write_safetensors(folder / "model.safetensors", few, "F32")
    assert refused(folder, tmp_path / "eyes.gguf") == "projector_absurd"
    text = {name: values for name, values in whole.items() if "text_model" in name}
    small_checkpoint.write_safetensors(folder / "model.safetensors", text, "F32")
    assert refused(folder, tmp_path / "eyes.gguf") == "projector_absurd"


def test_pictures_must_be_prepared_as_they_were(tmp_path: Path) -> None:
    folder = tiny_eyes.make("qwen2vl", tmp_path / "qwen2vl")
    (folder / "preprocessor_config.json").unlink()
    assert refused(folder, tmp_path / "eyes.gguf") == "no_preprocessor"
    (folder / "preprocessor_config.json").write_text("[1, 2", encoding="utf-8")
    assert refused(folder, tmp_path / "eyes.gguf") == "no_preprocessor"
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": tiny_eyes.PICTURES}), encoding="utf-8")
    assert converted(folder, tmp_path / "eyes.gguf")["bytes"] > 100_000


def test_a_model_that_does_not_see_has_no_projector(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(small_checkpoint.CONFIG), encoding="utf-8")
    small_checkpoint.write_safetensors(tmp_path / "model.safetensors", small_checkpoint.values(), "F32")
    assert refused(tmp_path, tmp_path / "eyes.gguf") == "no_eyes"


def test_a_projector_is_not_of_a_small_type(tmp_path: Path) -> None:
    folder = tiny_eyes.make("idefics3", tmp_path / "idefics3")
    assert refused(folder, tmp_path / "eyes.gguf", kind="Q4_K_M") == "projector_type"
