"""Guesses are what stood there before, and they are made only where they pay."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.llama.speculate import DRAFT_ODDS, LONGEST, REST, SIZES, SPENT, Ahead, Costs, Lookup, Worth

TEXT = list(range(100, 160))


def slow_processor(tokens: int) -> float:
    """Seconds of a pass as measured on two cores with a model of 0.5B: one token, then four at a time."""
    return 0.023 * (1 if tokens == 1 else 1.1 + 0.36 * tokens)


def gpu(tokens: int) -> float:
    """Seconds of a pass where more tokens cost next to nothing."""
    return 0.02 + 0.0001 * tokens


def test_a_quotation_is_carried_on() -> None:
    lookup = Lookup([*TEXT, 1, 2, 3])
    assert lookup.propose(5) == []
    lookup.extend(TEXT[10:14])
    assert lookup.sure == 4
    assert lookup.propose(5) == TEXT[14:19]
    assert lookup.propose(0) == []
    lookup.extend(TEXT[14:20])
    assert lookup.sure == 10
    assert lookup.next == TEXT[20]


def test_the_longer_match_is_preferred_and_then_the_nearer() -> None:
    assert Lookup([7, 1, 2, 3, 40, 8, 2, 3, 50, 9, 1, 2, 3]).propose(1) == [40]
    assert Lookup([8, 2, 3, 40, 9, 2, 3, 50, 1, 2, 3]).propose(1) == [50]


def test_a_repetition_goes_round() -> None:
    assert Lookup([5, 6, 7, 5, 6, 7]).propose(7) == [5, 6, 7, 5, 6, 7, 5]
    assert Lookup([9, 9, 9]).propose(3) == [9, 9, 9]


def test_nothing_is_guessed_from_nothing() -> None:
    for tokens in ([], [1], [1, 2], [1, 1], [1, 2, 3, 4]):
        lookup = Lookup(tokens)
        assert lookup.propose(8) == [] or tokens == [1, 1]
    lookup = Lookup()
    lookup.extend([])
    assert lookup.next == -1


@given(st.lists(st.integers(0, 3), max_size=60), st.lists(st.integers(1, 5), max_size=20), st.integers(1, 9))
def test_a_guess_follows_the_same_tokens_as_the_end(tokens: list[int], cuts: list[int], most: int) -> None:
    lookup, at = Lookup(), 0
    for cut in cuts:  # in portions of any size
        lookup.extend(tokens[at : at + cut])
        at += cut
    lookup.extend(tokens[at:])
    guess = lookup.propose(most)
    assert lookup.tokens == tokens
    assert bool(guess) == (lookup.sure > 0)
    if guess:
        assert len(guess) == most
        end = tokens[-lookup.sure :]
        before = [p for p in range(len(tokens) - lookup.sure) if tokens[p : p + lookup.sure] == end]
        assert any(([*tokens, *guess])[p + lookup.sure : p + lookup.sure + most] == guess for p in before)


@given(st.lists(st.integers(0, 2), min_size=2, max_size=14))
def test_a_pair_that_stood_there_before_is_found(tokens: list[int]) -> None:
    pairs = list(pairwise(tokens))
    assert (Lookup(tokens).sure > 0) == (pairs[-1] in pairs[:-1])


def test_the_place_of_an_image_is_never_guessed() -> None:
    lookup = Lookup([1, 2, 3, -1, -1, 4, 1, 2])
    assert lookup.propose(4) == [3]
    lookup.extend([3])
    assert lookup.propose(4) == []


def test_portions_and_the_whole_give_the_same_table() -> None:
    tokens = [random.Random(4).randrange(6) for _ in range(500)]
    whole, one_by_one = Lookup(tokens), Lookup()
    for token in tokens:
        one_by_one.extend([token])
    assert whole.sure >= 2
    assert one_by_one.sure >= whole.sure


def test_costs_are_relative_to_a_plain_step_whatever_the_machine_does() -> None:
    costs = Costs()
    for turn in range(300):
        busy = 3.0 if turn > 150 else 1.0  # a neighbour came
        for tokens in (1, 1, 1, 4, 16):
            costs.took(tokens, slow_processor(tokens) * busy)
    for tokens in (4, 8, 16):
        true = slow_processor(tokens) / slow_processor(1)
        assert costs.of(tokens) / costs.of(1) == pytest.approx(true, rel=0.1)


def test_one_hiccup_does_not_decide() -> None:
    costs = Costs()
    for _ in range(50):
        costs.took(1, slow_processor(1))
        costs.took(12, slow_processor(12))
    costs.took(12, 30.0)
    assert costs.of(12) / costs.of(1) < 1.3 * slow_processor(12) / slow_processor(1)


@pytest.mark.parametrize("tokens,seconds", [(0, 1.0), (-3, 1.0), (4, 0.0), (4, -1.0)])
def test_a_step_that_was_none_teaches_nothing(tokens: int, seconds: float) -> None:
    costs = Costs()
    costs.took(tokens, seconds)
    costs.took(1, 0.02)
    assert costs.of(4) == Costs().of(4)


def follow(worth: Worth, machine: object, chance: float, steps: int, sure: int = 8) -> tuple[float, int]:
    """(speed beside plain decoding, guesses made in the last half) of a request whose guesses are right so often."""
    dice, seconds, came, late = random.Random(1), 0.0, 0, 0
    for step in range(steps):
        size = worth.size(sure)
        right = 0
        while right < size and dice.random() < chance:
            right += 1
        spent = machine(1 + size)  # type: ignore[operator]
        worth.took(size, right, spent)
        seconds, came = seconds + spent, came + 1 + right
        late += size if step > steps / 2 else 0
    return came / (seconds / machine(1)), late  # type: ignore[operator]


def test_good_guesses_pay_and_are_made_longer() -> None:
    worth = Worth()
    speed, _ = follow(worth, slow_processor, 0.97, 300)
    assert speed > 1.5
    assert worth.size(8) >= 11


def test_bad_guesses_are_given_up_at_small_cost() -> None:
    speed, late = follow(Worth(), slow_processor, 0.2, 1000)
    assert speed > 0.97
    assert late <= 4


def test_where_checking_is_free_even_poor_guesses_pay() -> None:
    worth = Worth()
    speed, late = follow(worth, gpu, 0.4, 400)
    assert speed > 1.4
    assert late > 200


def test_a_machine_that_became_another_is_noticed() -> None:
    worth = Worth()
    for _ in range(40):  # checking was dear
        worth.costs.took(1, 0.02)
        for size in SIZES:
            worth.costs.took(1 + size, 0.02 * (1 + size))
    assert worth.size(8) == 0
    _, late = follow(worth, gpu, 0.9, 12 * REST)
    assert late > REST


def test_without_a_match_nothing_is_weighed() -> None:
    assert Worth().size(0) == 0


def test_beside_many_others_guessing_pays_less() -> None:
    costs = Costs()
    for tokens in range(1, 40):
        for _ in range(20):
            costs.took(tokens, 0.02 * tokens)  # nothing is won by doing several at once
    assert Worth(costs).size(30) == 0
    assert Worth(costs).size(30, beside=7) == 0


def test_what_one_request_learnt_of_the_machine_serves_the_next() -> None:
    costs = Costs()
    follow(Worth(costs), gpu, 0.9, 100)
    assert costs.of(4) / costs.of(1) < 1.2
    assert Worth(costs).size(2) > 0


class Told:
    """A model whose answer is known, at a machine's speed."""

    def __init__(self, answer: list[int]) -> None:
        self.answer, self.passes, self.seconds = answer, 0, 0.0

    def write(self, ahead: Ahead) -> list[int]:
        """Decode the answer with guesses; what came is what was told."""
        came = [self.answer[0]]
        ahead.took(came[:], 0.0)
        while len(came) < len(self.answer):
            guess = ahead.propose(len(self.answer) - len(came) - 1)
            assert len(guess) <= len(self.answer) - len(came)
            right = 0
            while right < len(guess) and guess[right] == self.answer[len(came) + right]:
                right += 1
            new = self.answer[len(came) : len(came) + right + 1]
            spent = slow_processor(1 + len(guess))
            self.passes, self.seconds = self.passes + 1, self.seconds + spent
            came += new
            ahead.took(new, spent)
        return came


def test_a_quoting_answer_takes_fewer_passes_and_less_time() -> None:
    document = [random.Random(2).randrange(1000) for _ in range(600)]
    answer = [*range(5000, 5010), *document[100:220], *range(6000, 6005), *document[400:480]]
    told = Told(answer)
    assert told.write(Ahead(Costs(), document)) == answer
    assert told.passes < len(answer) / 3
    assert told.seconds < len(answer) * slow_processor(1) / 1.4


def test_an_answer_of_its_own_costs_next_to_nothing_more() -> None:
    dice = random.Random(3)
    words = [int(dice.paretovariate(0.6)) % 900 for _ in range(3000)]  # common words are common, order is chance
    told = Told(words[1000:])
    told.write(Ahead(Costs(), words[:1000]))
    assert told.seconds < len(told.answer) * slow_processor(1) * 1.03


class Oracle:
    """A draft that is right, or never is."""

    price = 0.002

    def __init__(self, answer: list[int], right: bool) -> None:
        self.answer, self.right, self.came, self.guesses = answer, right, 0, 0
        self.odds = DRAFT_ODDS

    def extend(self, tokens: list[int]) -> None:
        self.came += len(tokens)

    def ready(self, patience: float) -> bool:
        return True

    def propose(self, most: int) -> list[int]:
        guess = self.answer[self.came : self.came + most]
        self.guesses += len(guess)
        return guess if self.right else [token + 1 for token in guess]


@pytest.mark.parametrize("right", [True, False])
def test_a_draft_helps_or_is_given_up(right: bool) -> None:
    answer = list(range(1000, 2200))
    oracle, told = Oracle(answer, right), Told(answer)
    told.write(Ahead(Costs(), [], oracle))
    assert oracle.came == len(answer)
    plain = (len(answer) - 1) * slow_processor(1)
    assert oracle.guesses > 0
    if right:
        assert told.seconds + oracle.price * oracle.guesses < plain / 1.4
    else:
        assert told.seconds + oracle.price * oracle.guesses < plain * 1.03


def test_a_draft_that_takes_longer_than_the_model_is_not_asked_long() -> None:
    answer = list(range(1000, 1400))
    oracle, told = Oracle(answer, True), Told(answer)
    oracle.price = 0.05
    told.write(Ahead(Costs(), [], oracle))
    assert 0 < oracle.guesses < 30


def test_a_draft_that_is_never_certain_is_given_up() -> None:
    class Unsure(Oracle):
        """Takes its time and says nothing."""

        def propose(self, most: int) -> list[int]:
            self.guesses += 1
            return []

    unsure = Unsure(list(range(1000, 1200)), True)
    Told(unsure.answer).write(Ahead(Costs(), [], unsure))
    assert 0 < unsure.guesses < 20
    assert unsure.odds < DRAFT_ODDS / 2


def test_a_draft_reads_only_what_an_answer_has_time_for() -> None:
    class Slow(Oracle):
        """Has a long prompt to read."""

        def __init__(self, answer: list[int]) -> None:
            super().__init__(answer, True)
            self.patience: list[float] = []

        def ready(self, patience: float) -> bool:
            self.patience.append(patience)
            return False

    slow = Slow(list(range(1000, 1100)))
    Told(slow.answer).write(Ahead(Costs(), [], slow))
    assert slow.guesses == 0
    assert slow.patience == sorted(slow.patience)
    assert slow.patience[-1] == pytest.approx(SPENT * (len(slow.answer) - 2) * slow_processor(1), rel=0.1)


def test_who_writes_among_others_gets_no_draft() -> None:
    oracle = Oracle(list(range(1000, 1100)), True)
    ahead = Ahead(Costs(), [], oracle)
    for token in oracle.answer[:20]:
        assert ahead.propose(50, beside=1) == []
        ahead.took([token], 0.02, beside=1)
    assert oracle.guesses == 0


def test_what_a_draft_was_worth_is_kept_for_the_next_request() -> None:
    oracle, costs = Oracle(list(range(1000, 1200)), False), Costs()
    Told(oracle.answer).write(Ahead(costs, [], oracle))
    first = oracle.guesses
    assert oracle.odds < 0.8 * DRAFT_ODDS
    oracle.came = 0
    Told(oracle.answer).write(Ahead(costs, [], oracle))
    assert oracle.guesses - first < first


def test_media_in_the_prompt_need_no_draft() -> None:
    oracle = Oracle([1], True)
    ahead = Ahead(Costs(), [5, -1, 6], oracle)
    ahead.took([7], 0.02)
    assert ahead.propose(5) == []
    assert oracle.came == 0


def test_a_step_among_prompts_teaches_what_came_and_nothing_of_costs() -> None:
    costs = Costs()
    ahead = Ahead(costs, [*TEXT, 1])
    ahead.came(TEXT[5:9])
    assert ahead.lookup.sure == 4
    assert not costs.sure_of(1)
    assert costs.seconds(4) == 0


def test_the_longest_match_known_is_bounded() -> None:
    assert Lookup([4] * 500).sure == LONGEST
