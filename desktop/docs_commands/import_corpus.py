"""`deskside docs import-corpus COLLECTION corpus.jsonl`: one document a row {"_id", "title", "text"}."""

from __future__ import annotations

import argparse
from pathlib import Path

from desktop.docs_indexing import add_collection, finish
from desktop.pipe import EnginePipe
from desktop.terminal import Progress
from desktop.text import part_text, tr

HELP = "docs.import_corpus"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_collection(parser)
    parser.add_argument("file", metavar="FILE", help=tr("docs.corpus_file"))


def run(engine: EnginePipe, args: argparse.Namespace) -> int:
    progress = Progress()

    def show(event: dict[str, int]) -> None:
        progress.show(event["done"] / max(1, event["total"]), part_text(event["done"], event["total"]))

    path = str(Path(args.file).expanduser().absolute())
    asked = engine.stream("docs.import_corpus", show, collection=args.collection, path=path)
    progress.clear()
    return finish(engine, args, asked)
