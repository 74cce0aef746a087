"""Why a conversion was refused is said in the person's language whole, with no English clause inside a Chinese one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import vocabulary_folders as small

from convert.checkpoint import Checkpoint, open_checkpoint
from convert.config import Config
from convert.dequantize import unpacked
from convert.onnx import environment
from convert.onnx.export import Order, export
from convert.vocabulary import read
from convert.vocabulary.source import Source
from convert.vocabulary.spm import opened
from desktop.text import error_text, language, set_language
from engine.api.errors import UserError
from engine.api.job import Job

ENGLISH = re.compile(r"[A-Za-z]+ [a-z]+")


@pytest.fixture
def chinese() -> Iterator[None]:
    before = language()
    set_language("zh")
    yield
    set_language(before)


def without_merges(folder: Path) -> None:
    tokenizer = small.gpt2_json()
    tokenizer["model"]["merges"] = []
    small.write(folder, tokenizer)
    read(folder, small.config(vocab_size=small.SIZE), ("bpe",))


def impossible_size(folder: Path) -> None:
    small.write(folder, small.gpt2_json())
    read(folder, small.config(vocab_size=-3), ("bpe",))


def short_pieces(folder: Path) -> None:
    (folder / "tokenizer.model").write_bytes(b"\n\x09ab")
    opened(Source(folder, Config({})), "tokenizer.model")


def two_packings(folder: Path) -> None:
    ways = {str(bits): {"weights": {"num_bits": bits}} for bits in (4, 8)}
    settings = {"quant_method": "compressed-tensors", "config_groups": ways}
    unpacked(Checkpoint(folder, Config({"quantization_config": settings}), {}))


def header(folder: Path, raw: bytes) -> None:
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw)
    open_checkpoint(folder)


def behind_the_end(folder: Path) -> None:
    header(folder, json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode())


def no_header(folder: Path) -> None:
    header(folder, b"[]")


def four_bits_of_bert(folder: Path) -> None:
    (folder / "config.json").write_text('{"architectures": ["BertModel"], "model_type": "bert"}', encoding="utf-8")
    (folder / "pytorch_model.bin").write_bytes(bytes(8))
    export(Order(folder, folder / "out", int4=True), Job(folder / "work", {}))


def no_python(folder: Path) -> None:
    environment._none_here()


@pytest.mark.parametrize(
    ("refused", "english", "told"),
    [
        (without_merges, "it has no merges", "tokenizer.json：里面没有合并规则。"),
        (impossible_size, "a vocab_size of -3 cannot be", "config.json：vocab_size 不可能是 -3。"),
        (short_pieces, "it is cut short or no SentencePiece model", "它不完整，或不是 SentencePiece 模型。"),
        (two_packings, "more than one way of packing is not known here", "config_groups，不支持多种打包方式并用。"),
        (behind_the_end, "a ends 8 bytes behind the end of the file: it is cut off", "a 超出文件末尾 8 字节"),
        (no_header, "its header is no object", "它的文件头不是 JSON 对象。"),
        (four_bits_of_bert, "bert does not write text", "4 位 ONNX：bert 不能生成文字。"),
        (no_python, "there is no Python 3.11 to 3.14 on this machine", "这台电脑上没有 Python 3.11 到 3.14。"),
    ],
)
def test_a_reason_is_chinese_in_a_chinese_sentence(
    tmp_path: Path, chinese: None, refused: Callable[[Path], None], english: str, told: str
) -> None:
    with pytest.raises(UserError) as caught:
        refused(tmp_path)
    assert english in caught.value.text
    over_the_pipe = UserError.from_json(json.loads(json.dumps(caught.value.to_json())))
    said = error_text(over_the_pipe)[0]
    assert told in said
    assert not ENGLISH.search(said)
