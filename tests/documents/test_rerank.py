"""Rerankers: the loaders on tiny cross-encoders, the order, and the time they keep to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from encoder_kit import tiny_installed
from minilm_gguf import tiny_bert
from minilm_gguf import write as write_gguf

from engine.api.errors import UserError
from engine.documents.rerank import open_reranker, probability, reranked
from engine.documents.search import Hit
from models.registry import add_file


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))


def hits(count: int) -> list[Hit]:
    return [
        Hit(
            n, 1, n, "a.txt", "/a.txt", 0, 0, 9, "", f"passage {n}", [], "en", 1 - n / 100, {"lexical": {"rank": n + 1}}
        )
        for n in range(count)
    ]


class Backwards:
    """Prefers what came last; takes its time."""

    def __init__(self, depth: int = 8, seconds: float = 0.0) -> None:
        self.depth, self._seconds = depth, seconds
        self.read = 0

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        time.sleep(self._seconds * len(passages))
        self.read += len(passages)
        return [int(text.split()[-1]) / 100 for text in passages]

    def close(self) -> None:
        self.read = 0


def test_the_first_are_ranked_anew_and_the_rest_follow() -> None:
    found, done = reranked(Backwards(), "q", hits(12), 60)
    assert done and [hit.chunk for hit in found] == [7, 6, 5, 4, 3, 2, 1, 0, 8, 9, 10, 11]
    assert found[0].legs["rerank"] == {"rank": 1, "score": 0.07} and found[0].legs["lexical"] == {"rank": 8}


def test_what_cannot_be_done_in_time_is_not_begun() -> None:
    slow = Backwards(seconds=0.02)
    found, done = reranked(slow, "q", hits(12), 0.05)
    assert not done and found == hits(12) and slow.read == 2


def test_one_checkpoint_and_one_gguf_agree(tmp_path: Path) -> None:
    model = tiny_bert(head=True)
    texts = ["a cat.", "the dog runs.", "what?"]
    one = open_reranker(tiny_installed("tiny-ranker", head=True), threads=1)
    added = add_file(write_gguf(model, tmp_path / "tiny-reranker.gguf"))[0]
    two = open_reranker(added.id, threads=1)
    assert one and two
    by_onnx, by_llama = one.scores("a question", texts), two.scores("a question", texts)
    assert all(0 <= score <= 1 for score in by_onnx) and len(set(by_onnx)) == 3
    assert by_onnx == pytest.approx(by_llama, abs=0.15)
    assert len(two.scores("a " * 3000, ["b " * 3000])) == 1
    two.close()


def test_the_one_that_is_here_is_found() -> None:
    assert open_reranker() is None
    tiny_installed()
    assert open_reranker() is None
    tiny_installed("some-ranker", head=True)
    assert open_reranker(threads=1) is not None


def test_embedders_are_no_rerankers() -> None:
    with pytest.raises(UserError) as told:
        open_reranker(tiny_installed(), threads=1)
    assert told.value.code == "no_rerank"


def test_heads_say_it_in_one_number_or_two() -> None:
    assert probability([0.0]) == 0.5 and probability([1e9]) > 0.999 and probability([-1e9]) < 0.001
    assert probability([0.0, 2.0]) > 0.8
