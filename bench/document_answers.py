"""Answers from documents on XQuAD with Qwen2.5-Coder-0.5B: the right words said, cited, and refused if they are gone.

`DESKSIDE_DATA` names the folder with retrieval/xquad_en and retrieval/xquad_zh (corpus, queries, qrels, answers); the
number of questions a language can be given: `python bench/document_answers.py 30`. Questions are of those articles that
the weights of engine/documents/strength.py were not fitted on. Each is asked twice: of all paragraphs, and of a
collection that lacks the paragraphs that answer these questions, but has the others of the same articles.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from _engine import ROOT, Talk, private_home, qwen_coder
from _figures import figure, ratio

DATA = Path(os.environ.get("DESKSIDE_DATA", ROOT.parent / "shared" / "data")) / "retrieval"
LANGUAGES = {"en": 0.75, "zh": 0.70}  # and the least share of answers that hold the right words
MANY, SEED, ARTICLE = 30, 11, 5  # an article is five paragraphs
GOALS = {"cited": 0.95, "answered": 0.9}
REFUSED = 0.9


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def right_paragraphs(language: str) -> dict[str, str]:
    """Question id -> id of the paragraph that answers it."""
    lines = (DATA / f"xquad_{language}" / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return {question: paragraph for question, paragraph, _ in (line.split("\t") for line in lines)}


def chosen(language: str, many: int) -> list[dict[str, Any]]:
    """Questions {question, answers, file} of every other article."""
    right = right_paragraphs(language)
    answers = {row["_id"]: row["answers"] for row in rows(f"xquad_{language}/answers.jsonl")}
    every = [row for row in rows(f"xquad_{language}/queries.jsonl") if int(right[row["_id"]][1:]) // ARTICLE % 2]
    picked = random.Random(SEED).sample(every, many)
    return [{"question": row["text"], "answers": answers[row["_id"]], "file": right[row["_id"]]} for row in picked]


def collection(talk: Talk, language: str, without: set[str]) -> str:
    """The id of a new collection of all paragraphs but some."""
    made = str(talk.ask("docs.create", name=f"{language} {len(without)}")["id"])
    kept = [row for row in rows(f"xquad_{language}/corpus.jsonl") if row["_id"] not in without]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in kept), encoding="utf-8")
        talk.ask("docs.import_corpus", collection=made, path=str(file))
        talk.wait(lambda: not talk.ask("docs.files", collection=made, state="waiting")["total"])
    return made


def measure(talk: Talk, language: str, many: int) -> None:
    """Ask, and print the shares."""
    questions = chosen(language, many)
    there = talk.ask("docs.score", collection=collection(talk, language, set()), questions=questions)["card"]
    gone = collection(talk, language, {row["file"] for row in questions})
    nowhere = [{"question": row["question"], "unanswerable": True} for row in questions]
    refused = talk.ask("docs.score", collection=gone, questions=nowhere)["card"]["refused"]
    ratio(f"{language}: answers that hold the right words", there["contained"], LANGUAGES[language])
    for name, goal in GOALS.items():
        ratio(f"{language}: {name}, of answerable questions", there[name], goal)
    ratio(f"{language}: refused, their paragraphs gone", refused, REFUSED)
    figure(f"{language}: right paragraph first / among 5", f"{there['recall_1']:.2f} / {there['recall_5']:.2f}")
    figure(f"{language}: seconds a question", f"{there['seconds']:.1f}")


def again(talk: Talk) -> None:
    """The first words of a second answer over the same passages, beside the first one's."""
    made = collection(talk, "en", {"c1"})
    question = "How many points did the Panthers defense surrender?"
    model = talk.ask("models.list")["models"][0]["id"]
    talk.ask("models.unload", model=model)
    talk.ask("models.load", model=model)
    first, second = (talk.ask("docs.ask", collection=made, question=question)["stats"] for _ in range(2))
    share = second["first_token_s"] / first["first_token_s"]
    figure("asked twice over the same passages, first token", f"{share:.2f}", "<= 0.25", share <= 0.25)


def without_data(what: str) -> bool:
    """Whether the questions are not there; then it is told so."""
    if not DATA.is_dir():
        figure(what, "not measured: DESKSIDE_DATA names no folder with retrieval/xquad_en")
    return not DATA.is_dir()


def main() -> None:
    if without_data("answers from documents"):
        return
    private_home()
    talk = Talk()
    talk.ask("settings.set", values={"context_size": 4096})
    talk.ask("models.add", path=str(qwen_coder()))
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    again(talk)
    for language in LANGUAGES:
        measure(talk, language, many)
    talk.client.close()


if __name__ == "__main__":
    main()
