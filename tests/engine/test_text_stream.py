"""From bytes of tokens to whole letters: however they are cut, the same text comes out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llama.stream import TextStream


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The pieces between these places."""
    ends = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def told(stream: TextStream, pieces: list[bytes]) -> list[str]:
    """What is given out after each piece, and at the end."""
    return [*map(stream.feed, pieces), stream.rest()]


@given(st.text(), st.lists(st.integers(0, 400), max_size=12))
def test_a_text_comes_whole_however_its_bytes_are_cut(text: str, places: list[int]) -> None:
    said = told(TextStream(), cut(text.encode("utf-8", "replace"), places))
    assert "".join(said) == text.encode("utf-8", "replace").decode()


@given(st.binary(), st.lists(st.integers(0, 400), max_size=12))
def test_bytes_that_are_no_text_come_as_if_they_were_not_cut(data: bytes, places: list[int]) -> None:
    data += b"."  # ends half a letter
    assert "".join(told(TextStream(), cut(data, places))) == data.decode("utf-8", "replace")


def test_half_a_letter_waits_and_a_whole_one_does_not() -> None:
    assert told(TextStream(), [b"a", "木".encode()[:1], "木".encode()[1:] + b"b", b"c"]) == ["a", "", "木b", "c", ""]


def test_a_letter_after_half_a_letter_does_not_overtake_it() -> None:
    assert told(TextStream(), ["木".encode()[:2], b"a", b"b"]) == ["", "\N{REPLACEMENT CHARACTER}a", "b", ""]


@pytest.mark.parametrize("pieces", [["one STOP two"], ["one ST", "OP two"], ["one ", "S", "T", "O", "P", " two"]])
def test_nothing_of_a_stop_string_is_given_out(pieces: list[str]) -> None:
    stream = TextStream(["STOP"])
    said = []
    for piece in pieces:
        said.append(stream.feed(piece.encode()))
        if stream.stopped:
            break
    assert ("".join(said), stream.stopped) == ("one ", "STOP")


def test_what_only_looked_like_a_stop_string_is_given_out() -> None:
    assert "".join(told(TextStream(["STOP"]), [b"one ST", b"ART", b" S"])) == "one START S"
