"""Sampling with and without a grammar, on a real vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from decoding import read, write
from real_models import smollm2

from engine.api.errors import UserError
from engine.api.sampling import Sampling
from engine.generation import Grammar
from engine.llama.load import LoadSettings, load
from engine.llama.logprobs import logprob
from engine.llama.model import Model
from engine.llama.sample import Sampler

GREEDY = Sampling(temperature=0)
HOT = Sampling(temperature=1.5, top_k=0, top_p=1, min_p=0, seed=1)
STORY = "Once upon a time there was a small cat who lived by the sea. Every morning"


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    loaded = load(smollm2(), LoadSettings(context_size=512, threads=1))
    yield loaded
    loaded.close()


def written(model: Model, sampling: Sampling, grammar: Grammar | None, limit: int = 40) -> tuple[str, bool]:
    sampler = Sampler(model, sampling, model.tokenize(STORY), grammar)
    try:
        return write(model, sampler, STORY, limit)
    finally:
        sampler.close()
        sampler.close()


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(seed=5), Sampling(seed=6, repeat_penalty=1.3), HOT])
def test_a_grammar_that_allows_everything_changes_nothing(model: Model, sampling: Sampling) -> None:
    plain = written(model, sampling, None, 20)
    assert written(model, sampling, Grammar("root ::= .*"), 20) == plain
    assert written(model, sampling, Grammar('root ::= "never"', triggers=("(never)",)), 20) == plain


@pytest.mark.parametrize("sampling", [GREEDY, HOT, Sampling(mirostat=1), Sampling(mirostat=2), Sampling(top_k=1)])
def test_a_grammar_is_obeyed_to_its_end(model: Model, sampling: Sampling) -> None:
    text, ended = written(model, sampling, Grammar('root ::= "<" [a-c]{3} ("é" | "猫"){2} ">"'))
    assert (bool(re.fullmatch(r"<[a-c]{3}[é猫]{2}>", text)), ended) == (True, True)


@pytest.mark.parametrize("sampling", [GREEDY, *(Sampling(temperature=1.2, seed=seed) for seed in range(4))])
def test_asking_about_the_likeliest_first_gives_the_same_answer(model: Model, sampling: Sampling) -> None:
    grammar = Grammar('root ::= [A-Z] [a-z]+ " " [a-z]{3,9} "; " [^ea]*')
    everything = replace(sampling, logit_bias={7: 0.0})  # with a bias, the whole vocabulary is asked about
    assert written(model, sampling, grammar, 25) == written(model, everything, grammar, 25)


def test_penalties_see_only_what_was_written(model: Model) -> None:
    strong = Sampling(temperature=0, repeat_penalty=1.8, dry_multiplier=1.0)
    free = written(model, strong, None, 30)[0]
    assert written(model, strong, Grammar("root ::= [^0-9]*"), 30)[0] == free
    assert not any(letter.isdigit() for letter in free)


def test_the_end_is_allowed_only_at_the_end_of_the_grammar(model: Model) -> None:
    end = next(token for token in range(model.vocab_size) if model.is_end(token))
    eager = Sampling(temperature=0, logit_bias={end: 1000})
    assert written(model, eager, None) == ("", True)
    assert written(model, eager, Grammar('root ::= "abc" [0-9]*')) == ("abc", True)


def test_control_tokens_leave_no_holes(model: Model) -> None:
    hidden = [token for token in range(model.vocab_size) if not model.piece(token) and not model.is_end(token)]
    assert hidden
    pushed = Sampling(temperature=0, logit_bias=dict.fromkeys(hidden, 900.0))
    sampler = Sampler(model, pushed, [], Grammar('root ::= "\\"" [^"]{12} "\\""'))
    tokens: list[int] = []
    text, ended = write(model, sampler, STORY, 40, tokens.append)
    sampler.close()
    assert (len(text), ended, set(tokens) & set(hidden)) == (14, True, set())


def test_a_lazy_grammar_begins_with_its_trigger(model: Model) -> None:
    lazy = Grammar('root ::= "the" " z"{5}', triggers=(r"he shou|(the)",))
    assert " the" in written(model, GREEDY, None, 30)[0]
    text, ended = written(model, GREEDY, lazy)
    assert (re.sub(r"(?s)^.*?the z", "the z", text), ended) == ("the z z z z z", True)


def test_a_trigger_followed_by_what_the_grammar_refuses_is_not_written(model: Model) -> None:
    free = written(model, GREEDY, None, 30)[0]
    word = next(word for word in re.findall(r"[a-z]{4,}", free[10:]))
    refused = Grammar('root ::= "something else"', triggers=(f"({word})",))
    text, _ = written(model, GREEDY, refused, 30)
    assert word not in text
    assert text[:5] == free[:5]


def test_a_trigger_in_the_middle_of_a_token(model: Model) -> None:
    prompt = model.tokenize("Answer: ")
    token = model.tokenize("Hello")[0]
    pushed = Sampling(temperature=0, logit_bias={token: 50.0})
    sampler = Sampler(model, pushed, prompt, Grammar('root ::= "llo" "!"', triggers=("(llo)",)))
    text, ended = write(model, sampler, "Answer: ", 5)
    sampler.close()
    assert (model.piece(token), text, ended) == (b"Hello", "Hello!", True)


def test_bad_grammars_are_refused_by_line(model: Model) -> None:
    for text, line in (("root ::= [a", 1), ('root ::= "a"\nb ::= c\n', 2), ("", 1)):
        with pytest.raises(UserError) as error:
            Sampler(model, GREEDY, [], Grammar(text))
        assert (error.value.code, error.value.values["line"]) == ("bad_grammar", line)
    with pytest.raises(UserError, match="no pattern"):
        Sampler(model, GREEDY, [], Grammar('root ::= "a"', triggers=("(",)))


def test_logprobs_are_those_of_the_model(model: Model) -> None:
    import numpy as np

    read(model, model.tokenize(STORY))
    told = logprob(model, model.context, -1, model.tokenize(" he")[0], 5)
    everything = logprob(model, model.context, -1, 7, model.vocab_size)
    assert len(told.top) == 5
    assert told.top == everything.top[:5]
    assert [value for _, _, value in told.top] == sorted((value for _, _, value in told.top), reverse=True)
    assert np.exp([value for _, _, value in everything.top]).sum() == pytest.approx(1, abs=1e-4)
    assert {token: value for token, _, value in everything.top}[told.token] == pytest.approx(told.logprob)
    assert told.piece == b" he"
    assert logprob(model, model.context, -1, 7, 0).top == ()


def test_the_likeliest_token_is_what_llama_cpp_chooses(model: Model) -> None:
    end = next(token for token in range(model.vocab_size) if model.is_end(token))
    plain = written(model, Sampling(temperature=0), None, 30)
    lowered = dict.fromkeys([end, *model.tokenize(plain[0])[:3]], -2.5)  # among them the likeliest of all
    assert written(model, Sampling(temperature=0, logit_bias=lowered), None, 30) != plain
    for bias in ({}, {end: -100.0}, lowered, {end: -100.0, model.tokenize(" the")[0]: 9.0}):
        short = Sampling(temperature=0, logit_bias=bias)
        whole = replace(short, repeat_penalty=1.000001)  # a penalty too small to matter goes through llama.cpp's chain
        assert written(model, short, None, 30) == written(model, whole, None, 30)


def test_biases_do_not_change_what_the_model_is_said_to_think(model: Model) -> None:
    tokens = model.tokenize(STORY)
    read(model, tokens)
    before = logprob(model, model.context, -1, tokens[0], 3)
    sampler = Sampler(model, Sampling(temperature=0, logit_bias={tokens[0]: 500.0}), [])
    assert sampler.sample(model.context) == tokens[0]
    sampler.close()
    assert logprob(model, model.context, -1, tokens[0], 3) == before


@pytest.mark.parametrize("temperature", [0.0, 1.2])
@pytest.mark.parametrize("penalties", [{"repeat_penalty": 1.8}, {"frequency_penalty": 0.9, "presence_penalty": 2.0}])
def test_penalties_over_the_likeliest_choose_as_over_the_whole_vocabulary(
    model: Model, temperature: float, penalties: dict[str, float]
) -> None:
    short = Sampling(temperature=temperature, seed=3, repeat_last_n=64, **penalties)  # type: ignore[arg-type]
    # A penalty that may raise is looked up for every token; so small a one raises nothing past its rivals.
    whole = replace(short, presence_penalty=short.presence_penalty or -1e-6)
    if penalties.get("presence_penalty"):
        whole = replace(short, repeat_penalty=0.999999)
    assert written(model, short, None, 60) == written(model, whole, None, 60)
