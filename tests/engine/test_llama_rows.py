"""The rows of a llama_decode, as llama.cpp finds them in its struct."""

from __future__ import annotations

import pytest

from engine.llama.rows import Rows


def told(rows: Rows, count: int) -> list[tuple[int, int, int, int, int]]:
    batch = rows.batch
    return [
        (batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.seq_id[at][0], batch.logits[at])
        for at in range(count)
    ]


def test_rows_of_several_sequences_stand_one_after_the_other() -> None:
    rows = Rows(8)
    end = rows.put(0, [11, 12, 13], 5, 2, 1)
    end = rows.put(end, [21], 0, 7, 1)
    assert end == rows.put(end, [], 3, 1, 0) == 4
    assert told(rows, 4) == [(11, 5, 1, 2, 0), (12, 6, 1, 2, 0), (13, 7, 1, 2, 1), (21, 0, 1, 7, 1)]


def test_what_stood_there_before_is_forgotten() -> None:
    rows = Rows(4)
    rows.put(0, [1, 2, 3, 4], 0, 1, 4)
    rows.put(0, [9, 8], 7, 3, 0)
    assert told(rows, 2) == [(9, 7, 1, 3, 0), (8, 8, 1, 3, 0)]


def test_more_rows_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        Rows(2).put(1, [1, 2], 0, 0, 0)


def test_llama_cpp_is_given_the_rows_that_were_filled() -> None:
    rows, seen = Rows(4), []

    def decode(context: object, batch: object) -> int:
        seen.append((context, batch.n_tokens, batch.embd))  # type: ignore[attr-defined]
        return 3

    rows.put(0, [5, 6], 0, 0, 1)
    assert rows.run(decode, "context", 2) == 3
    assert seen[0][:2] == ("context", 2) and not seen[0][2]
