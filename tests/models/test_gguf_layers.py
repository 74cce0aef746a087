"""The bytes of each layer, by which layers are put on a graphics card."""

from __future__ import annotations

from pathlib import Path

from random_llama import Size, write
from real_models import smollm2
from tiny_gguf import gguf

from engine.llama.placement import first_layers
from models.fit import Loading, compute_buffer, kv_cache, usable
from models.gguf_header import read
from models.gguf_layers import layer_bytes


def test_every_tensor_is_counted_once_and_a_shared_table_is_the_output() -> None:
    parts = layer_bytes([smollm2()])
    assert len(parts) == 31
    assert sum(parts) == read(smollm2()).tensor_bytes
    assert parts[-1] > 10 * parts[0]


def test_a_table_beside_an_output_stays_in_main_memory(tmp_path: Path) -> None:
    file = write(tmp_path / "small.gguf", smollm2(), Size(3, 256, 512, 2, 1))
    parts, words = layer_bytes([file]), 49_152 * 256 // 32 * 18
    assert len(parts) == 4 and len(set(parts[:-1])) == 1
    assert words <= parts[-1] < words + 4096
    assert read(file).tensor_bytes - sum(parts) == words


def test_names_that_lie_cost_nothing(tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(gguf(shapes=((64, 3), (64, 3))).replace(b"blk.1.weight", b"blk.9.weight"))
    assert layer_bytes([odd]) == [384, 384, 0]


def test_the_output_goes_first_then_the_last_layers() -> None:
    loading, header = Loading(2048), read(smollm2())
    parts, each = layer_bytes([smollm2()]), kv_cache(header.shape, loading) / 30
    needed = compute_buffer(header.shape, loading) + parts[-1]
    free = next(size for size in range(0, 1 << 30, 1 << 20) if usable(size) >= needed)
    assert first_layers(-1, smollm2(), loading, free - (2 << 20)) == 0
    assert first_layers(-1, smollm2(), loading, free) == 1
    assert first_layers(-1, smollm2(), loading, free + int(5.5 * (parts[-2] + each))) in (6, 7)
    assert first_layers(-1, smollm2(), loading, 2 << 30) == 31
    assert first_layers(999, smollm2(), loading, free) == 31
