"""Texts far longer than the context are refused by their beginning, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from real_models import smollm2
from server_kit import Serving

from engine.llama.endless import endless
from engine.llama.load import LoadSettings, load
from engine.llama.model import Model

ENDLESS = "a" * 8_000_000
PATHS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": ENDLESS}]}),
    ("/v1/completions", {"prompt": ENDLESS}),
    ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": ENDLESS}]}),
    ("/v1/embeddings", {"input": ["short", ENDLESS]}),
    ("/tokenize", {"content": ENDLESS}),
]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    loaded = load(smollm2(), LoadSettings(context_size=512, threads=1))
    yield loaded
    loaded.close()


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_it_is_said_by_how_much_about(serving: Serving, path: str, body: dict[str, Any]) -> None:
    refused = serving.post(path, {"model": serving.model, **body})
    assert refused.status_code == 400
    over = next(int(word) for word in refused.json()["error"]["message"].split() if word.isdigit() and int(word) > 9999)
    assert 500_000 < over < 8_000_000


def test_only_what_surely_does_not_fit_is_endless(model: Model) -> None:
    story = "Once upon a time there was a small cat who lived by the sea. " * 5000
    tokens = len(model.tokenize(story))
    assert endless(model, story, tokens) == 0
    assert endless(model, story, tokens // 3) == pytest.approx(tokens, rel=0.01)
    assert endless(model, story[:9000], 10) == 0  # short enough to be counted


def test_a_long_text_of_few_tokens_is_not_endless(model: Model) -> None:
    spaces = " " * 600_000
    assert endless(model, spaces, len(model.tokenize(spaces))) == 0
