"""Which blocks of a model may be left out, and what its header has to say afterwards.

llama.cpp takes the blocks out and numbers the others anew, but knows nothing of what a header says block by block, nor
of networks in which every n-th block is another kind: those rules are here, as data.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.block_influence import least
from convert.gguf_file import ALIGNMENT
from convert.gguf_source import GGUF
from convert.note import note, spoken
from engine.api.errors import UserError
from models.gguf_reader import Tensor, read_raw
from models.gguf_types import SCALARS

READ = 4 << 20
# Networks of equal blocks.
UNIFORM = (
    *("arcee", "bloom", "chatglm", "command-r", "deepseek", "deepseek2", "ernie4_5", "ernie4_5-moe", "falcon", "gemma"),
    *("glm4", "glm4moe", "gpt2", "gptneox", "granite", "granitemoe", "grok", "hunyuan-dense", "hunyuan-moe"),
    *("internlm2", "llama", "minicpm", "minicpm3", "mistral3", "mpt", "olmo", "olmoe", "orion", "pangu-embedded"),
    *("phi2", "phi3", "phimoe", "qwen", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "refact", "seed_oss", "stablelm"),
    *("starcoder", "starcoder2", "xverse"),
)
# Every n-th block looks farther, has no positions or is not recurrent: llama.cpp's src/models, where it goes by number.
PERIODS = {
    "cohere2": 4,
    "exaone4": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gpt-oss": 2,
    "llama4": 4,
    "olmo2": 4,
    "qwen35": 4,
    "qwen35moe": 4,
    "qwen3next": 4,
    "smollm3": 4,
}
_ONLY_SLIDING = ("exaone4", "gemma3", "olmo2")  # whose blocks are equal where the header has no window
# Numbers of blocks by which llama.cpp tells one published model from another, and then computes differently.
_TELLING = {"deepseek2": (26, 27, 47, 48), "exaone4": (64,), "gemma2": (46,), "gemma3": (62,)}
_STEPS = ("full_attention_interval", "interleave_moe_layer_step")
_WINDOWS = "attention.sliding_window_pattern"
_DENSE = "leading_dense_block_count"


@dataclass(frozen=True)
class Blocks:
    """A model's blocks: all, and those before the ones that guess ahead; blocks may only go in whole `period`s."""

    arch: str
    all: int
    trunk: int
    period: int


def blocks_of(model: GGUF) -> Blocks:
    """Raises UserError no_prune where blocks cannot be taken out of this network."""
    arch, name = str(model.value("general.architecture", "")), model.path.name
    count = model.value("{arch}.block_count", 0)
    if arch not in UNIFORM and arch not in PERIODS:
        raise _no_prune(name, f"the blocks of {arch or 'this network'} depend on each other")
    if not isinstance(count, int) or count < 3:
        raise _no_prune(name, "it has too few blocks")
    if model.value("{arch}.attention.shared_kv_layers", 0):
        raise _no_prune(name, "some of its blocks use what others remember")
    ahead = model.value("{arch}.nextn_predict_layers", 0)
    return Blocks(arch, count, max(1, count - int(ahead or 0)), _period(model, arch))


def _period(model: GGUF, arch: str) -> int:
    """1 where all blocks are alike, or the header says of each what it is."""
    said, usual = model.value("{arch}." + _WINDOWS), PERIODS.get(arch, 1)
    plain = arch in _ONLY_SLIDING and not model.value("{arch}.attention.sliding_window")
    if plain or (isinstance(said, list) and arch not in ("llama4", "smollm3")):
        usual = 1
    steps = [usual, *(model.value("{arch}." + step) for step in _STEPS)]
    if isinstance(said, int) and not isinstance(said, bool):
        steps.append(said)
    return math.lcm(*(step for step in steps if isinstance(step, int) and 0 < step < 1000))


def chosen(blocks: Blocks, found: dict[int, float], count: int) -> list[int]:
    """The `count` blocks that matter least by their scores. Raises UserError bad_layers."""
    if not 0 < count <= blocks.trunk - 2:
        raise _bad(note("prune_between", "between 1 and {most} blocks can be left out", most=blocks.trunk - 2), blocks)
    if blocks.period == 1:
        return told_apart(blocks, least({block: found[block] for block in range(blocks.trunk)}, count))
    if count % blocks.period:
        raise _bad(
            note("prune_groups", "only whole groups of {period} blocks can be left out", period=blocks.period), blocks
        )
    return told_apart(blocks, _groups(blocks, found, count))


def _groups(blocks: Blocks, found: dict[int, float], count: int) -> list[int]:
    """Neighbouring blocks, a period each time, so that every block that stays keeps its place in the pattern."""
    starts = range(1, blocks.trunk - blocks.period)
    sums = {at: sum(found[block] for block in range(at, at + blocks.period)) for at in starts}
    taken: set[int] = set()
    for at in sorted(sums, key=lambda start: (sums[start], start)):
        group = set(range(at, at + blocks.period))
        if len(taken) < count and not taken & group:
            taken |= group
    if len(taken) < count:
        raise _bad(
            note(
                "prune_only",
                "only {count} blocks can be left out in whole groups of {period}",
                count=len(taken),
                period=blocks.period,
            ),
            blocks,
        )
    return sorted(taken)


def checked(blocks: Blocks, layers: Sequence[Any]) -> list[int]:
    """Blocks that a person names, in order. Raises UserError bad_layers."""
    if not all(isinstance(layer, int) and not isinstance(layer, bool) for layer in layers):
        raise _bad(note("prune_numbers", "blocks are named by their numbers"), blocks)
    wanted = sorted(set(layers))
    if not wanted or wanted[0] < 1 or wanted[-1] > blocks.trunk - 2:
        raise _bad(
            note(
                "prune_which",
                "the blocks 1 to {most} can be left out, not the first and the last",
                most=blocks.trunk - 2,
            ),
            blocks,
        )
    stay = [block for block in range(blocks.all) if block not in wanted]
    if any(old % blocks.period != new % blocks.period for new, old in enumerate(stay)):
        raise _bad(
            note(
                "prune_pattern",
                "every block that stays must keep its place in a pattern of {period}",
                period=blocks.period,
            ),
            blocks,
        )
    return told_apart(blocks, wanted)


def told_apart(blocks: Blocks, layers: list[int]) -> list[int]:
    """The same blocks. Raises UserError bad_layers where llama.cpp would take what is left for another model."""
    counts = (blocks.all, blocks.all - len(layers))
    if any(count in _TELLING.get(blocks.arch, ()) for count in counts):
        raise _bad(
            note(
                "prune_told_apart",
                "llama.cpp tells {arch} models of {before} and {after} blocks apart",
                arch=blocks.arch,
                before=counts[0],
                after=counts[1],
            ),
            blocks,
        )
    return layers


def numbers_after(model: GGUF, layers: Sequence[int]) -> dict[str, int]:
    """Header values that change with the blocks left out: how many of the first ones have no experts."""
    arch = str(model.value("general.architecture", ""))
    dense = model.value("{arch}." + _DENSE)
    if not isinstance(dense, int) or not dense:
        return {}
    return {f"{arch}.{_DENSE}": dense - sum(layer < dense for layer in layers)}


def lists_of(model: GGUF, blocks: Blocks) -> list[str]:
    """The header's lists that have a value a block."""
    own = [name for name, (_, value) in model.entries.items() if isinstance(value, list) and len(value) == blocks.all]
    return [name for name in own if name.startswith(f"{blocks.arch}.") and not name.endswith("dimension_sections")]


def shorten_lists(file: Path, target: Path, names: Sequence[str], layers: Sequence[int]) -> None:
    """Copy a model, without the left out blocks' values in these lists; all else stays byte for byte."""
    inventory = read_raw(file).inventory
    begin = min(tensor.start for tensor in inventory)
    with file.open("rb") as source, target.open("wb") as made:
        header = source.read(begin)
        header = header[: _end_of(inventory[-1], header)]
        for name in names:
            header = _shortened(header, name, frozenset(layers), file)
        made.write(header + bytes(-len(header) % ALIGNMENT))
        while data := source.read(READ):
            made.write(data)


def _end_of(last: Tensor, header: bytes) -> int:
    """Where a header ends, before its padding: behind the last tensor's name, lengths, type (4 bytes) and place (8)."""
    name = last.name.encode()
    told = struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(last.shape)}Q", len(last.shape), *last.shape)
    return header.rfind(told) + len(told) + 12


def _shortened(header: bytes, name: str, layers: frozenset[int], file: Path) -> bytes:
    """A header with one list shorter. GGUF: the key's length and text, 9 (a list), its items' type, their number."""
    key = struct.pack("<Q", len(name.encode())) + name.encode() + struct.pack("<I", 9)
    at = header.find(key) + len(key)
    kind, count = struct.unpack_from("<IQ", header, at)
    if header.count(key) != 1 or kind not in SCALARS:
        raise _no_prune(file.name, f"its list {name} cannot be told apart")
    form, first = SCALARS[kind], at + 12
    items = struct.unpack_from(f"<{count}{form}", header, first)
    stay = [item for number, item in enumerate(items) if number not in layers]
    packed = struct.pack("<IQ", kind, len(stay)) + struct.pack(f"<{len(stay)}{form}", *stay)
    return header[:at] + packed + header[first + struct.calcsize(f"<{count}{form}") :]


def _no_prune(name: str, reason: str) -> UserError:
    return UserError(
        "no_prune",
        f"No blocks can be left out of {name}: {reason}.",
        "Quantize it to a smaller type instead.",
        name=name,
        reason=spoken(reason),
    )


def _bad(reason: str, blocks: Blocks) -> UserError:
    return UserError(
        "bad_layers",
        f"These blocks cannot be left out: {reason}.",
        "Choose others.",
        reason=spoken(reason),
        blocks=blocks.all,
    )
