"""Our converter against llama.cpp's own, on a tiny seeded checkpoint of every family: the same file, byte for byte."""

from __future__ import annotations

from typing import Any

import family_checkpoints
import gguf_reading
import llama_logits
import pytest
from conversion_kit import Conversions, kinds_of

from convert.config import Config
from convert.families import all_families, family_of

CASES = family_checkpoints.names()
CONVERTED = [name for name in CASES if not family_checkpoints.case(name).upstream]
# A whole vocabulary is the same in every type, and takes seconds.
KINDS = {name: kinds_of(name) for name in CASES}
BROKEN = [name for name in CASES if family_checkpoints.case(name).upstream]


@pytest.mark.parametrize(("case", "kind"), [(name, kind) for name in CONVERTED for kind in KINDS[name]])
def test_the_file_is_upstreams(conversions: Conversions, case: str, kind: str) -> None:
    theirs, error = conversions.upstream(case, kind)
    assert not error, f"upstream: {error}"
    path, _ = conversions.ours(case, kind)
    ours, wanted = gguf_reading.read(path), gguf_reading.read(theirs)
    known = family_checkpoints.case(case).differences
    different = _different_tensors(ours, wanted) | _different_entries(ours, wanted)
    assert {key: values for key, values in different.items() if key not in known} == {}
    assert set(known) <= set(different), "a difference that is no longer one"


@pytest.mark.parametrize("case", BROKEN)
def test_upstream_still_fails_where_we_say_it_does(conversions: Conversions, case: str) -> None:
    _, error = conversions.upstream(case, "f32")
    assert family_checkpoints.case(case).upstream in error


@pytest.mark.parametrize(("case", "kind"), [(name, kind) for name in CASES for kind in KINDS[name]])
def test_the_file_loads(conversions: Conversions, case: str, kind: str) -> None:
    path, result = conversions.ours(case, kind)
    read = gguf_reading.read(path)
    assert llama_logits.loads(path) == len(read.entries["tokenizer.ggml.tokens"][1])
    assert result["bytes"] == path.stat().st_size
    assert [row["name"] for row in result["tensors"]] == list(read.tensors)


def test_every_family_has_a_case() -> None:
    known = set()
    for name in CASES:
        found = family_of(Config(family_checkpoints.case(name).config))
        assert found, f"no family knows {name}: {family_checkpoints.case(name).config['architectures']}"
        known.add(found[0])
    assert known == set(all_families())


def _different_tensors(ours: gguf_reading.Read, wanted: gguf_reading.Read) -> dict[str, Any]:
    """Name -> what is wrong with it."""
    wrong: dict[str, Any] = {name: "missing" for name in wanted.tensors if name not in ours.tensors}
    for name, tensor in ours.tensors.items():
        other = wanted.tensors.get(name)
        if other is None:
            wrong[name] = "not in upstream's file"
        elif (tensor.type, tensor.shape) != (other.type, other.shape):
            wrong[name] = f"type and shape {tensor.type} {tensor.shape}, wanted {other.type} {other.shape}"
        elif tensor.data != other.data:
            places = sum(one != two for one, two in zip(tensor.data, other.data, strict=True))
            wrong[name] = f"{places} of {len(other.data)} bytes differ"
    return wrong


def _different_entries(ours: gguf_reading.Read, wanted: gguf_reading.Read) -> dict[str, Any]:
    """Key -> (ours, upstream's), None where it is missing; long values cut."""
    keys = {*ours.entries, *wanted.entries}
    found = {key: (ours.entries.get(key), wanted.entries.get(key)) for key in sorted(keys)}
    return {key: (_cut(pair[0]), _cut(pair[1])) for key, pair in found.items() if pair[0] != pair[1]}


def _cut(entry: tuple[str, Any] | None) -> str:
    return str(entry)[:200]
