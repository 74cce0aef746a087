"""Whether questions written by a model (the setting `questions` of a collection) help paragraphs to be found.

A sample of XQuAD's paragraphs, in English and Chinese, is searched with its own questions before and after
Qwen2.5-Coder-0.5B wrote questions for each: `python bench/question_index.py 40`, the number of paragraphs. Without an
embedder, or with the one that DESKSIDE_EMBEDDER names: its folder among the models of a data folder.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _engine import Talk, private_home, qwen_coder
from _figures import figure, ratio
from document_answers import right_paragraphs, rows, without_data

LANGUAGES = ("en", "zh")
MANY, TOP = 40, 10
LEAST_GAIN = 0.0  # of nDCG@10: the setting is worth its hours only if it does some good


def sample(language: str, many: int) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """The first `many` paragraphs, and the questions (text, id of the paragraph) that they answer."""
    kept = rows(f"xquad_{language}/corpus.jsonl")[:many]
    known, right = {row["_id"] for row in kept}, right_paragraphs(language)
    asked = [(row["text"], right[row["_id"]]) for row in rows(f"xquad_{language}/queries.jsonl")]
    return kept, [(text, paragraph) for text, paragraph in asked if paragraph in known]


def collection(talk: Talk, name: str, paragraphs: list[dict[str, Any]]) -> str:
    """The id of a new collection of these paragraphs."""
    made = str(talk.ask("docs.create", name=name)["id"])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in paragraphs), encoding="utf-8")
        talk.ask("docs.import_corpus", collection=made, path=str(file))
        talk.wait(lambda: not talk.ask("docs.files", collection=made, state="waiting")["total"])
    return made


def found(talk: Talk, made: str, asked: list[tuple[str, str]]) -> tuple[float, float]:
    """nDCG@10 and the share of questions whose paragraph comes first."""
    ranks = []
    for question, paragraph in asked:
        hits = talk.ask("docs.search", collection=made, query=question, top=TOP, rerank="off")["hits"]
        names = [Path(hit["name"]).stem for hit in hits]
        ranks.append(names.index(paragraph) if paragraph in names else TOP)
    gains = [1 / math.log2(rank + 2) if rank < TOP else 0.0 for rank in ranks]
    return sum(gains) / len(gains), sum(rank == 0 for rank in ranks) / len(ranks)


def written(talk: Talk, made: str) -> dict[str, Any]:
    """Have the questions written; the job."""

    def jobs() -> list[dict[str, Any]]:
        return [row for row in talk.ask("jobs.list")["jobs"] if row["kind"] == "questions"]

    def ended() -> bool:
        return all(row["state"] not in ("queued", "running") for row in jobs())

    talk.ask("docs.update", collection=made, values={"questions": True})
    talk.wait(ended, 3600)
    return next(row for row in jobs() if row["params"]["collection"] == made)


def measure(talk: Talk, language: str, many: int) -> None:
    """Search, have questions written, search again."""
    paragraphs, asked = sample(language, many)
    made = collection(talk, language, paragraphs)
    before, first = found(talk, made, asked)
    begun = time.monotonic()
    job = written(talk, made)
    took = time.monotonic() - begun
    if job["state"] != "done":
        raise SystemExit(f"the job ended as {job['state']}: {job['error']}")
    after, then = found(talk, made, asked)
    done = job["result"]
    figure(f"{language}: questions of {done['chunks']} passages", str(done["questions"]))
    figure(f"{language}: seconds a passage", f"{took / max(1, done['chunks']):.1f}")
    figure(f"{language}: right paragraph first, without / with questions", f"{first:.3f} / {then:.3f}")
    figure(f"{language}: nDCG@10 without questions", f"{before:.4f}")
    ratio(f"{language}: nDCG@10 gained by questions", after - before, LEAST_GAIN)


def main() -> None:
    if without_data("questions of passages"):
        return
    private_home()
    if embedder := os.environ.get("DESKSIDE_EMBEDDER"):
        shutil.copytree(embedder, Path(os.environ["DESKSIDE_HOME"]) / "models" / Path(embedder).name)
    talk = Talk()
    talk.ask("settings.set", values={"context_size": 2048})
    talk.ask("models.add", path=str(qwen_coder()))
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    for language in LANGUAGES:
        measure(talk, language, many)
    talk.client.close()


if __name__ == "__main__":
    main()
