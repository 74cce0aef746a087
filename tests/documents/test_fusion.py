"""Fusion: each leg counts by how far it can be trusted."""

from __future__ import annotations

from engine.documents.fusion import Leg, best_share, coverage, fused, rarity, trust

NEAR = Leg({1: 0.9, 2: 0.7, 3: 0.5}, mean=0.5, spread=0.1, total=100)
WORDS = Leg({2: 8.0, 4: 4.0}, counts={"panther": 2, "defenc": 5}, total=100)
FOREIGN = Leg({5: 2.0}, counts={"黑豹": 0, "防守": 0, "1990": 0, "在": 90}, total=100)


def test_what_both_legs_found_comes_first() -> None:
    ranking, weights = fused({"lexical": WORDS, "dense": NEAR})
    assert [chunk for chunk, _ in ranking[:2]] == [2, 1]
    assert abs(sum(weights.values()) - 1) < 1e-9 and 0.2 <= weights["lexical"] <= 0.5
    assert all(0 <= score <= 1 for _, score in ranking)
    assert dict(ranking)[3] == 0.0


def test_words_the_collection_does_not_know_count_nothing() -> None:
    assert coverage(WORDS) == 1.0 and coverage(FOREIGN) == 0.0
    assert trust(FOREIGN, NEAR) == {"lexical": 0.0, "dense": 1.0}
    assert fused({"lexical": FOREIGN, "dense": NEAR})[0][0][0] == 1


def test_a_leg_that_found_nothing_leaves_all_to_the_other() -> None:
    assert trust(WORDS, Leg({})) == {"lexical": 1.0, "dense": 0.0}
    assert fused({"lexical": WORDS, "dense": Leg({})})[0] == [(2, 1.0), (4, 0.5)]
    assert fused({"lexical": Leg({}), "dense": Leg({})})[0] == []


def test_words_count_more_the_more_the_best_passage_holds() -> None:
    weak = Leg({2: 1.0}, counts=WORDS.counts, total=100)
    assert best_share(weak) < best_share(WORDS)
    assert trust(weak, NEAR)["lexical"] < trust(WORDS, NEAR)["lexical"]


def test_rare_words_say_more() -> None:
    assert rarity(1, 1000) > rarity(100, 1000) > rarity(1000, 1000) > 0


def test_places_are_told() -> None:
    assert WORDS.told()[4] == {"rank": 2, "score": 4.0}
    assert NEAR.told()[1] == {"rank": 1, "score": 0.9, "similarity": 0.8}
    assert Leg({1: -0.4}, mean=0.2, spread=0.1).told()[1]["similarity"] == 0.0
