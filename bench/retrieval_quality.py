"""nDCG@10 of search beside its two legs and plain BM25, over a real database, for each embedder that is installed.

`DESKSIDE_RETRIEVAL_SETS` names a folder of sets (corpus.jsonl, queries.jsonl, qrels.tsv each); sets whose queries and
documents share their ids (xquad_en, xquad_zh) are searched across, too.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _figures import figure, ratio

Ranking = list[str]


@dataclass(frozen=True)
class Set:
    """`judged`: query id -> document id -> grade."""

    name: str
    documents: Path
    queries: dict[str, str]
    judged: dict[str, dict[str, int]]


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def read(queries: Path, documents: Path) -> Set:
    """The questions of one folder about the documents of another."""
    judged: dict[str, dict[str, int]] = {}
    for line in (documents / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, document, grade = line.split("\t")
        if grade.lstrip("-").isdigit() and int(grade) > 0:
            judged.setdefault(query, {})[document] = int(grade)
    texts = {row["_id"]: row["text"] for row in rows(queries / "queries.jsonl") if row["_id"] in judged}
    name = documents.name if queries == documents else f"{queries.name} on {documents.name}"
    return Set(name, documents, texts, judged)


def ndcg(ranking: Ranking, grades: dict[str, int], top: int = 10) -> float:
    """Linear gain, as trec_eval."""
    gained = sum(grades.get(one, 0) / math.log2(rank + 2) for rank, one in enumerate(ranking[:top]))
    best = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(sorted(grades.values(), reverse=True)[:top]))
    return gained / best


def mean(of: Set, ranked: Callable[[str], Ranking]) -> float:
    return sum(ndcg(ranked(text), of.judged[query]) for query, text in of.queries.items()) / len(of.queries)


def plain_bm25(of: Set) -> float:
    """bm25s at its best here: prepared text (or it finds no Chinese), cut into words without signs, no stop words."""
    import bm25s

    from engine.documents.prepare import prepared, stop_words

    def words(text: str) -> list[str]:
        return [word for word in re.findall(r"\w+", prepared(text).lower()) if word not in stop_words()]

    known = rows(of.documents / "corpus.jsonl")
    index = bm25s.BM25(k1=1.5, b=0.75)
    index.index([words(f"{row['title']}\n{row['text']}") for row in known], show_progress=False)

    def ranked(text: str) -> Ranking:
        best, scores = index.retrieve([words(text)], k=10, show_progress=False)
        return [known[int(at)]["_id"] for at, score in zip(best[0], scores[0], strict=True) if score > 0]

    return mean(of, ranked)


def compare(of: Set, model: str, folder: Path) -> None:
    """Print both legs, and search beside the better one and beside BM25."""
    from engine.api.job import Job
    from engine.documents import collection as collections
    from engine.documents import lexical, vectors
    from engine.documents.corpus import import_corpus
    from engine.documents.database import DocumentStore
    from engine.documents.embedders import open_embedder
    from engine.documents.index_job import run
    from engine.documents.search import search
    from engine.requests.documents_search import by_document

    embedder = open_embedder(model)
    store = DocumentStore()
    name = f"{of.documents.name} {model}"
    if not store.row("SELECT 1 FROM collections WHERE name = ?", name):
        made = collections.create(store, name, {"embedder": model})
        import_corpus(store, collections.number_of(store, name), of.documents / "corpus.jsonl")
        run({"collection": made["id"]}, Job(folder / made["id"], {}))
    row = collections.row_of(store, name)
    number, state = row["number"], (row["embedder"], row["version"])
    files = {
        one["id"]: one["name"]
        for one in store.rows(
            "SELECT chunks.id, files.name FROM chunks JOIN files ON files.id = chunks.file WHERE chunks.collection = ?",
            number,
        )
    }
    assert embedder is not None

    def named(ids: list[int]) -> Ranking:
        return list(dict.fromkeys(files[one] for one in ids))

    words = mean(of, lambda text: named(lexical.find(store, number, state[1], text, 100).ids))
    near = mean(of, lambda text: named(vectors.find(store, number, state, embedder.queries([text])[0], 100).ids))
    both = mean(of, lambda text: [n for n, _ in by_document(search(store, name, text, 20, None, embedder).hits)])
    figure(f"{of.name}, {model}: nDCG@10 of words / vectors / search", f"{words:.4f} / {near:.4f} / {both:.4f}")
    ratio(f"{of.name}, {model}: search / better leg", both / max(words, near), 1.0)
    try:
        peer = plain_bm25(of)
        figure(f"{of.name}: nDCG@10 of plain BM25", f"{peer:.4f}")
        ratio(f"{of.name}, {model}: search / plain BM25", both / max(1e-9, peer), 1.0)
    except ImportError:
        figure("plain BM25", "bm25s is not installed")
    store.close()
    embedder.close()


def main() -> None:
    chosen = os.environ.get("DESKSIDE_RETRIEVAL_SETS", "")
    if not chosen:
        figure("retrieval quality", "DESKSIDE_RETRIEVAL_SETS names no folder of sets")
        return
    from engine.documents.embedders import embeds
    from models import registry

    folders = [one for one in sorted(Path(chosen).iterdir()) if (one / "qrels.tsv").is_file()]
    sets = [read(one, one) for one in folders]
    pairs = [pair for pair in itertools.permutations(folders, 2) if all(one.name.startswith("xquad") for one in pair)]
    sets += [read(*pair) for pair in pairs]
    models = [one.id for one in registry.installed() if embeds(one)]
    with tempfile.TemporaryDirectory() as folder:
        for model, of in itertools.product(models, sets):
            compare(of, model, Path(folder))


if __name__ == "__main__":
    main()
