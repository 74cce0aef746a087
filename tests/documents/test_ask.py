"""Answers from passages: judged, written, checked, quoted. The writer here says what a test tells it to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.api.messages import Stats
from engine.documents.ask import Answer, Sources, ask
from engine.documents.rewriting import Turn
from engine.documents.search import Hit
from engine.documents.wording import Weights

BRIDGE = (
    "The old bridge over the Tarn was built in 1911 by Ada Lindqvist. It is 412 metres long and carries two tracks. "
    "Repairs cost 3,400,000 crowns."
)
BREAD = "Bread rises slowly in a cold kitchen. Bakers in Lund keep the dough at 24 degrees for three hours."
CONTRACT = "本合同于2021年3月5日由甲方王小明签署。逾期付款的违约金为每日万分之五。合同有效期为三年。"
TEXTS = {1: ("bridge.txt", BRIDGE), 2: ("bread.txt", BREAD), 3: ("合同.txt", CONTRACT)}


def hit(number: int) -> Hit:
    name, text = TEXTS[number]
    return Hit(
        chunk=number, file=number, name=name, path=f"/docs/{name}", page=1, start=100, end=100 + len(text),
        heading="", text=text, boxes=[], language="", score=1.0, legs={}, number=0,
    )  # fmt: skip


@dataclass
class Said:
    """A writer that gives prepared answers; keeps what it was asked."""

    answers: list[str]
    size: int = 4096
    asked: list[list[dict[str, Any]]] = field(default_factory=list)
    told: float | None = None
    doubted: list[str] = field(default_factory=list)

    def count(self, text: str) -> int:
        return len(text) // 3

    def write(self, messages: list[dict[str, Any]], max_tokens: int, heard: Callable[[str], None]) -> tuple[str, Stats]:
        self.asked.append(messages)
        heard(self.answers[0])
        return self.answers.pop(0), {"tokens": 5}

    def foretold(self, passage: str, question: str) -> float | None:
        self.doubted.append(passage)
        return self.told


class Watching:
    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []

    def rewritten(self, question: str) -> None:
        self.told.append(("rewritten", question))

    def passages(self, hits: list[Hit]) -> None:
        self.told.append(("passages", [one.file for one in hits]))

    def text(self, piece: str) -> None:
        self.told.append(("text", piece))


def weights(word: str) -> int:
    return 40 if word in {"built", "metr", "cost"} else 1


def answer(question: str, numbers: Sequence[int], *said: str, history: Sequence[Turn] = ()) -> tuple[Answer, Said]:
    writer = Said(list(said))
    sources = Sources(lambda text: [hit(number) for number in numbers], Weights(weights, 100))
    return ask(question, sources, writer, Watching(), history), writer


def test_a_supported_sentence_is_cited_with_its_place_and_the_source_is_quoted() -> None:
    done, _ = answer("When was the bridge over the Tarn built?", [1, 2], "It was built in 1911.")
    assert not done.refused
    assert done.text.startswith("It was built in 1911. [1]")
    assert "> The old bridge over the Tarn was built in 1911 by Ada Lindqvist. [1]" in done.text
    (first, *_) = done.citations
    assert (first.name, first.page, first.number) == ("bridge.txt", 1, 1)
    assert BRIDGE[first.start - 100 : first.end - 100] == first.quote
    assert all(done.text[one.start : one.end] == one.text or one.citations for one in done.sentences)


def test_a_wrong_number_or_name_is_not_supported() -> None:
    said = "The bridge is 412 metres long. It was built in 1925 by Erik Lund."
    done, _ = answer("How long is the bridge over the Tarn?", [1], said)
    shown = {one.text.partition(" [")[0]: one.supported for one in done.sentences}
    assert shown["The bridge is 412 metres long."] is True
    assert shown["It was built in 1925 by Erik Lund."] is False


def test_an_answer_of_which_nothing_stands_in_the_documents_gives_way_to_quotes() -> None:
    done, _ = answer("How long is the bridge over the Tarn?", [1], "The Golden Gate is in Paris, 9999 km.")
    assert "Golden Gate" not in done.text
    assert "It is 412 metres long" in done.text


def test_chinese_questions_get_chinese_answers_and_places() -> None:
    done, writer = answer("逾期付款的违约金是多少？", [3], "违约金为每日万分之五。")
    assert done.text.startswith("违约金为每日万分之五。 [1]")
    assert done.citations[0].quote == "逾期付款的违约金为每日万分之五。"
    assert "问题：逾期付款的违约金是多少？" in writer.asked[0][1]["content"]


def test_what_the_documents_do_not_say_is_not_asked_of_a_model() -> None:
    done, writer = answer("Who wrote the opera about the elephant hunters of Lisbon?", [1, 2])
    assert done.refused
    assert done.text == "Your documents do not say this."
    assert writer.asked == []
    assert "opera" in done.missing
    zh, _ = answer("谁发明了蒸汽机和电报机？", [3])
    assert zh.refused
    assert zh.text == "你的文档中没有提到这一点。"


def asked_with(told: float | None, question: str) -> tuple[Answer, Said]:
    writer = Said(["甲方。"], told=told)
    sources = Sources(lambda text: [hit(3)], Weights(weights, 100))
    return ask(question, sources, writer, Watching()), writer


def test_in_doubt_a_model_tells_how_much_of_a_chinese_question_its_passage_foretells() -> None:
    question = "违约金由谁支付？"
    foretold, writer = asked_with(0.5, question)
    assert not foretold.refused
    (passage,) = writer.doubted
    assert CONTRACT in passage
    news, _ = asked_with(0.0, question)
    assert news.refused
    assert news.strength < asked_with(None, question)[0].strength < foretold.strength


@pytest.mark.parametrize("question", ["逾期付款的违约金是多少？", "谁发明了蒸汽机和电报机？", "How long is the ferry?"])
def test_where_the_words_tell_enough_no_model_is_asked(question: str) -> None:
    assert asked_with(0.5, question)[1].doubted == []


def test_nothing_found_is_refused() -> None:
    done, _ = answer("When was the bridge built?", [])
    assert done.refused
    assert done.strength == 0.0


def test_a_model_that_finds_nothing_is_believed_where_the_finding_is_doubtful_only() -> None:
    clear = answer("When was the old bridge over the Tarn built by Ada Lindqvist?", [1], "Not in the documents.")[0]
    assert not clear.refused
    assert "1911" in clear.text


def test_follow_ups_are_completed_and_a_model_that_invents_is_not_believed() -> None:
    before: list[Turn] = [
        {"role": "user", "content": "When was the bridge over the Tarn built?"},
        {"role": "assistant", "content": "In 1911."},
    ]
    good = "How long is the bridge over the Tarn?"
    done, _ = answer("How long is it?", [1], good, "412 metres.", history=before)
    assert done.question == good
    invented = "How long is the Great Wall of China in kilometres?"
    done, _ = answer("How long is it?", [1], invented, "412 metres.", history=before)
    assert done.question == "When was the bridge over the Tarn built? How long is it?"


def test_passages_are_told_before_the_answer_and_stand_in_the_order_of_the_documents() -> None:
    watching, writer = Watching(), Said(["It was built in 1911."])
    sources = Sources(lambda text: [hit(2), hit(1)], Weights(weights, 100), "Be brief.")
    ask("When was the old bridge over the Tarn built?", sources, writer, watching)
    assert [name for name, _ in watching.told] == ["rewritten", "passages", "text"]
    system, user = writer.asked[0]
    assert system["content"].endswith("Be brief.")
    assert user["content"].index("bridge") < user["content"].index("Bakers")


@pytest.mark.parametrize("question", ["Summarize this document.", "总结一下这份文档的要点"])
def test_questions_about_the_whole_are_never_called_weak(question: str) -> None:
    done, writer = answer(question, [1], "The bridge over the Tarn was built in 1911.")
    assert not done.refused
    assert len(writer.asked) == 1
