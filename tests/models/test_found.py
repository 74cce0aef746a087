"""Models of other programs on this disk are found where those programs keep them, and only offered."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import tiny_gguf

from models import found, registry

MODEL = tiny_gguf.gguf(shapes=((64, 10_000),), data=random.Random(1).randbytes(1_280_000))


@pytest.fixture(autouse=True)
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def put(path: Path, data: bytes = MODEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def offered() -> set[tuple[str, str]]:
    return {(item["where"], item["name"]) for item in found.found() if "/usr/share" not in item["path"]}


def ollama(person: Path, name: str, digest: str, media: str = "application/vnd.ollama.image.model") -> Path:
    manifest = {"layers": [{"mediaType": media, "digest": f"sha256:{digest}"}, {"mediaType": "x", "digest": "y"}]}
    put(person / ".ollama/models/manifests/registry.ollama.ai" / name, json.dumps(manifest).encode())
    return put(person / f".ollama/models/blobs/sha256-{digest}")


def test_each_program_in_its_place(person: Path) -> None:
    ollama(person, "library/llama3.2/1b", "aa")
    ollama(person, "someone/own/latest", "bb")
    put(person / ".lmstudio/models/maker/repo/studio-Q4_K_M.gguf")
    put(person / ".cache/llama.cpp/cached-Q8_0.gguf")
    blob = put(person / ".cache/huggingface/hub/models--a--b/blobs/0123")
    link = person / ".cache/huggingface/hub/models--a--b/snapshots/c0ffee/hub-Q4_0.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(blob)
    assert offered() == {
        ("Ollama", "llama3.2:1b"),
        ("Ollama", "someone/own:latest"),
        ("LM Studio", "studio-Q4_K_M"),
        ("llama.cpp", "cached-Q8_0"),
        ("Hugging Face", "hub-Q4_0"),
    }


def test_what_is_added_is_no_longer_offered_and_stays_where_it_is(person: Path) -> None:
    path = put(person / ".lmstudio/models/maker/repo/studio-Q4_K_M.gguf")
    (item,) = [item for item in found.found() if item["where"] == "LM Studio"]
    assert (item["path"], item["bytes"]) == (str(path), len(MODEL))
    (model,) = registry.add_file(Path(item["path"]))
    assert model.referenced and offered() == set()
    registry.remove(model.id)
    assert path.exists()


def test_an_ollama_blob_without_an_ending_can_be_added(person: Path) -> None:
    blob = ollama(person, "library/llama3.2/1b", "aa")
    (model,) = registry.add_file(blob)
    assert registry.find(model.id).path == blob
    assert (model.id, model.name) == ("tiny", "Tiny")


def test_rubbish_is_passed_over(person: Path) -> None:
    ollama(person, "library/adapter/1b", "cc", media="application/vnd.ollama.image.adapter")
    ollama(person, "library/evil/1b", "../../../../etc/passwd".replace("/", "")).unlink()
    put(person / ".ollama/models/manifests/registry.ollama.ai/library/bad/1b", b"\xff{not json")
    put(person / ".ollama/models/manifests/registry.ollama.ai/library/bad/2b", b'{"layers": [3]}')
    put(person / ".lmstudio/settings.json", b"[]")
    put(person / ".lmstudio/models/a/b/small.gguf", tiny_gguf.gguf())
    put(person / ".lmstudio/models/a/b/page.gguf", b"<html>" * 999_999)
    put(person / ".lmstudio/models/a/b/mmproj-a.gguf")
    put(person / ".lmstudio/models/a/b/x-00002-of-00002.gguf")
    assert offered() == set()
