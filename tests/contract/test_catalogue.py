"""Every entry of the catalogue: schema, hashes, licence, complete sources, words in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import real_models

from models import catalogue, encoder, gguf_header
from models.catalogue import Entry

KNOWN = (encoder.WEIGHTS, encoder.CONFIG, encoder.TOKENIZER, *encoder.BESIDE)
IDS = sorted(path.stem for path in catalogue.FOLDER.glob("*.toml"))


@pytest.fixture(params=IDS)
def entry(request: pytest.FixtureRequest) -> Entry:
    return catalogue.load(catalogue.FOLDER / f"{request.param}.toml")


def test_sources_are_complete(entry: Entry) -> None:
    assert entry.bytes == sum(file.bytes for file in entry.files) > 0
    for file in entry.files:
        if file.parts:
            assert re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert all(part.package and part.version and part.member for part in file.parts)
        else:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repo)
            assert file.name.endswith(".gguf") or file.name in KNOWN


def test_licence_and_words(entry: Entry) -> None:
    assert entry.licence and entry.licence_url.startswith("https://")
    assert entry.about["en"].isascii() and re.search("[\u4e00-\u9fff]", entry.about["zh"])
    assert entry.languages and all(re.fullmatch("[a-z]{2}", code) for code in entry.languages)
    assert entry.kind in catalogue.KINDS


def test_dimensions_agree_with_the_size(entry: Entry) -> None:
    shape = entry.shape
    assert shape.known and len(shape.kv_heads) == len(shape.sliding) == shape.layers
    assert shape.heads % shape.kv_heads[0] == 0
    bits = entry.bytes * 8 / entry.parameters
    assert 4 < bits < 9 or entry.quantization == "F32"
    # Attention, the three matrices of the feed-forward part and one embedding are nearly all of a model.
    attention = shape.embedding * (shape.heads + shape.kv_heads[0]) * (shape.key_length + shape.value_length)
    matrices = 2 if entry.architecture == "bert" else 3
    layer = attention + matrices * shape.embedding * shape.feed_forward
    rough = shape.layers * layer + shape.vocabulary * shape.embedding
    assert rough * 0.9 < entry.parameters < rough * 1.6


def test_there_is_one_starter_and_a_first_choice_for_chinese() -> None:
    assert [e.id for e in catalogue.entries() if e.starter] == ["smollm2-135m-instruct"]
    assert catalogue.offered_first("zh").id == "qwen2.5-coder-0.5b-instruct"
    assert catalogue.offered_first("en") == catalogue.starter()
    sizes = [e.parameters for e in catalogue.entries() if e.kind == "chat" and e.repo]
    assert len(sizes) >= 12 and min(sizes) < 1e9 and max(sizes) > 30e9


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("smollm2-135m-instruct", real_models.smollm2),
        ("qwen2.5-coder-0.5b-instruct", real_models.qwen_coder),
        ("gemma-3-270m", real_models.gemma),
    ],
)
def test_entries_agree_with_the_files_themselves(name: str, path: object) -> None:
    known = catalogue.entry(name)
    header = gguf_header.read(path())  # type: ignore[operator]
    assert known and header.shape == known.shape
    said = (known.architecture, known.quantization, known.parameters, known.context, known.kind, known.bytes)
    read = (header.architecture, header.quantization, header.parameters, header.context, header.kind, header.file_bytes)
    assert said == read


def test_minilm_is_a_whole_checkpoint() -> None:
    folder = real_models.minilm()
    assert {"config.json", "tokenizer.json", "model.safetensors", "1_Pooling"} <= {f.name for f in folder.iterdir()}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("bytes = 98_362_432\ncontext", "bytes = 98\ncontext"), "sum of the files"),
        (('sha256 = "b179', 'sha256 = "B179'), "64 hex digits"),
        (('licence = "Apache-2.0"', 'licence = ""'), "licence"),
        (('kind = "chat"', 'kind = "poet"'), "kind"),
        (("context = 8192", "contxt = 8192"), "contxt"),
        (("layers = 30\n", ""), "layers"),
    ],
)
def test_a_broken_entry_is_named(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    text = (catalogue.FOLDER / "smollm2-135m-instruct.toml").read_text(encoding="utf-8")
    assert change[0] in text
    path = tmp_path / "broken.toml"
    path.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(ValueError, match=reason):
        catalogue.load(path)
