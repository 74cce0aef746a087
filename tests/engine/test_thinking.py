"""Reasoning blocks are told apart from what is said, wherever the stream cuts them."""

from __future__ import annotations

import pytest

from engine.thinking import FAMILIES, Family, ThinkSplitter, opened_by, without_thinking


def split(pieces: list[str], starts_inside: bool | Family = False) -> tuple[str, str]:
    splitter = ThinkSplitter(starts_inside)
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.rest()]
    return "".join(text for text, _ in parts), "".join(thought for _, thought in parts)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.open.strip())
def test_every_family_is_split_wherever_the_stream_cuts_it(family: Family) -> None:
    hidden = "".join(family.hidden[:2])
    whole = f"{family.open}2 < 3, so yes{family.close}{hidden}\n\nYes: 2 < 3."
    for cut in range(len(whole) + 1):
        assert split([whole[:cut], whole[cut:]]) == ("Yes: 2 < 3.", "2 < 3, so yes")
    assert split(list(whole)) == ("Yes: 2 < 3.", "2 < 3, so yes")


def test_a_block_opened_by_the_prompt_is_thinking_from_the_first_letter() -> None:
    assert split(list("I add them.</think>\n\n4"), starts_inside=True) == ("4", "I add them.")


def test_the_end_of_a_prompt_says_which_block_it_opened() -> None:
    assert opened_by("<|im_start|>assistant\n<think>\n") == FAMILIES[0]
    assert opened_by("<|im_start|>assistant\n<think>\n\n</think>\n\n") is None


def test_a_tag_within_an_answer_is_only_a_word() -> None:
    text = "Write <think> and </think> around it.\n<think>\nnot hidden\n</think>"
    assert split(list(text)) == (text, "")


def test_a_block_that_never_closes_stays_thinking() -> None:
    assert split(list("<think>\nhm, <b>")) == ("", "hm, <b>")


def test_text_that_only_looks_like_a_tag_comes_out_whole() -> None:
    assert split(list("<thin air>")) == ("<thin air>", "")
    assert split(["<thi"]) == ("<thi", "")


def test_plain_text_is_never_held_back() -> None:
    splitter = ThinkSplitter()
    assert [splitter.feed(piece)[0] for piece in ("Good", " day", " <", "b>")] == ["Good", " day", " <", "b>"]


def test_white_space_inside_an_answer_is_kept() -> None:
    assert split(["\n", "  code", "\n  more\n"]) == ("code\n  more\n", "")


def test_an_answer_is_sent_back_without_its_thinking() -> None:
    assert without_thinking("<think>\nlong\n</think>\n\nShort.") == "Short."
    assert without_thinking("Nothing to hide.") == "Nothing to hide."
