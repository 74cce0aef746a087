"""The job `compare`: two models of one vocabulary read the same text; the distance of their predictions is measured.

No logits are kept on disk: each chunk is scored as it is read. Where memory holds only one of the models they take
turns, and the logits of a few chunks wait in memory.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.calibration_text import context_of, name_of
from convert.compare import LEAST_TOKENS, THRESHOLDS, Scores, by_language, figures, score, scored, verdict
from convert.jobs.imatrix import _layers, chunks_of, fingerprint
from convert.report import add_quality
from engine.api.errors import UserError
from engine.api.job import Job
from engine.api.report_files import report_file
from models.gguf_header import read as header

if TYPE_CHECKING:
    from convert.calibration_text import Chunk
    from engine.llama.beside import Reader, Reading

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

ROWS = "scores.bin"
COLUMNS = 4
WAITING_BYTES = 2 << 30  # of logits, where the models take turns
HEADROOM = 0.8  # of the free memory, for both models at once


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: a (the source), b, text ("builtin", a path, {"collection", "file"}), chunks (0 = all), context,
    together (true or false; chosen by the free memory otherwise), threads, gpu_layers, adapter (a LoRA that b speaks
    with; none).

    Result: the figures of convert.compare.figures over all, "languages" the same for each, "verdict" and what belongs
    to it, "thresholds", "speed" (tokens/s: prefill, decode), "memory" (bytes in use more than before it was loaded),
    "files" (bytes), "text" (its name), "report": where b's own report now says all this, "" if it has none.
    Raises Cancelled and UserError other_vocabulary, broken_logits, and those of text and loading.
    """
    paths = (Path(params["a"]), Path(params["b"]))
    job.folder.mkdir(parents=True, exist_ok=True)
    pair = _Pair(paths, params, job)
    try:
        chunks = pair.chunks()
        scores = _Work(pair, chunks, job).run()
        speeds = pair.speeds(chunks)
    finally:
        pair.close()
    (job.folder / ROWS).unlink(missing_ok=True)
    found = summary(scores, [chunk.language for chunk in chunks]) | {
        "text": name_of(params.get("text") or "builtin"),
        "speed": speeds,
        "memory": dict(zip("ab", pair.memory, strict=True)),
        "files": dict(zip("ab", map(_bytes, paths), strict=True)),
    }
    return found | {"report": _reported(paths[1], found)}


def _reported(model: Path, found: dict[str, Any]) -> str:
    """Into the report that lies beside a model we made; "" where there is none."""
    if not report_file(model).exists():
        return ""
    return str(add_quality(model, found))


def summary(scores: list[Scores], languages: list[str]) -> dict[str, Any]:
    """All figures, by language too, and the verdict."""
    own = {name: figures(part) for name, part in by_language(scores, languages)}
    found: dict[str, Any] = {**figures(scores), "languages": own}
    return found | verdict(found, own) | {"thresholds": THRESHOLDS, "least_tokens": LEAST_TOKENS}


class _Pair:
    """The two models: loaded both, or one at a time."""

    def __init__(self, paths: tuple[Path, Path], params: dict[str, Any], job: Job) -> None:
        self.paths, self.params, self.job = paths, params, job
        self.memory, self._speeds = [0, 0], [{"prefill": 0.0, "decode": 0.0} for _ in paths]
        self._readers: list[Reader | None] = [None, None]
        self._counted = [[0, 0.0], [0, 0.0]]
        asked = params.get("together")
        self.together = both_fit(paths) if asked is None else bool(asked)
        self._words = ["", ""]

    def reader(self, number: int) -> Reader:
        """Model `number`, loaded; the other one is closed if they take turns. Raises UserError other_vocabulary."""
        found = self._readers[number]
        if found:
            return found
        if not self.together:
            self.close()
        from engine.llama.adapters import Adapters
        from engine.llama.beside import Reader

        before = _resident()
        found = Reader(self.paths[number], self._reading(), None, lambda done: not self.job.cancelled.is_set())
        self._readers[number] = found
        if number and self.params.get("adapter"):
            Adapters(found.model).choose(((str(self.params["adapter"]), 1.0),))  # freed with the model
        self._words[number] = self._words[number] or found.vocabulary()
        if all(self._words) and self._words[0] != self._words[1]:
            raise _other_vocabulary(self.paths)
        self._measure(number, found, before)
        return found

    def chunks(self) -> list[Chunk]:
        """The text, cut by the first model's vocabulary, once it is known to be the second's too."""
        found = chunks_of(self.reader(0), self.params, "measure")
        self.reader(1)
        return found

    def speeds(self, chunks: list[Chunk]) -> dict[str, dict[str, float]]:
        """Tokens a second of both."""
        for number in (1, 0):
            reader = self.reader(number)
            self._speeds[number]["decode"] = reader.write(chunks[0].tokens, self.job.cancelled.is_set)
            self._count(number)
            tokens, seconds = self._counted[number]
            self._speeds[number]["prefill"] = tokens / seconds if seconds else 0.0
        return dict(zip("ab", self._speeds, strict=True))

    def close(self) -> None:
        """Give the memory back."""
        for number, reader in enumerate(self._readers):
            if reader:
                self._count(number)
                reader.close()
        self._readers = [None, None]
        gc.collect()

    def _reading(self) -> Reading:
        from engine.llama.beside import Reading

        return Reading(context_of(self.params), 1, int(self.params.get("threads") or 0), _layers(self.params))

    def _measure(self, number: int, reader: Reader, before: int) -> None:
        """What the model takes: it is read once, since only what is touched is in memory. Not counted as speed."""
        if not self.memory[number]:
            text = reader.model.tokenize("The quick brown fox. 敏捷的狐狸。" * 64, special=False)
            for _ in reader.read([reader.chunk(text[: reader.context])], 0, self.job.cancelled.is_set):
                pass
            on_cards = sum(reader.model.cards.values())
            self.memory[number] = max(1, _resident() - before) + on_cards
        reader.tokens, reader.seconds = 0, 0.0

    def _count(self, number: int) -> None:
        reader = self._readers[number]
        if reader:
            self._counted[number][0] += reader.tokens
            self._counted[number][1] += reader.seconds
            reader.tokens, reader.seconds = 0, 0.0


class _Work:
    """The scoring of all chunks. `scores.bin` grows by the same number of bytes a chunk: where it
    ends, work goes on."""

    def __init__(self, pair: _Pair, chunks: list[Chunk], job: Job) -> None:
        self.pair, self.chunks, self.job = pair, chunks, job
        self.file = job.folder / ROWS
        self.context = len(chunks[0].tokens)
        self.rows = len(scored(self.context))
        self.given_up: Callable[[], bool] = job.cancelled.is_set

    def run(self) -> list[Scores]:
        """[tokens, 4] of each chunk."""
        mark = fingerprint(self.chunks, *self.pair.paths)
        if self.job.state.get("mark") != mark:
            self.file.write_bytes(b"")
            self.job.save({"mark": mark})
        done, size = self._kept(), self._group()
        for start in range(done, len(self.chunks), size):
            for place, found in enumerate(self._scores(self.chunks[start : start + size], start)):
                self._check(found, start + place)
                with self.file.open("ab") as file:
                    file.write(found.tobytes())
        self._told(len(self.chunks))
        return list(np.fromfile(self.file, np.float32).reshape(-1, self.rows, COLUMNS))

    def _kept(self) -> int:
        """Whole chunks in the file; what lies behind them is cut off."""
        each = self.rows * COLUMNS * 4
        whole = self.file.stat().st_size // each if self.file.exists() else 0
        with self.file.open("ab") as file:
            file.truncate(whole * each)
        return min(whole, len(self.chunks))

    def _group(self) -> int:
        """Chunks between two changes of the model."""
        if self.pair.together:
            return 1
        return max(1, WAITING_BYTES // (self.rows * 4 * self.pair.reader(0).model.vocab_size))

    def _scores(self, chunks: list[Chunk], start: int) -> Iterator[Scores]:
        if self.pair.together:
            self._told(start)
            yield self._beside(chunks[0])
            return
        waiting = [np.concatenate(list(self._logits(0, chunk))) for chunk in self._telling(chunks, start, 0)]
        for chunk, logits in zip(self._telling(chunks, start, 1), waiting, strict=True):
            yield score(logits, np.concatenate(list(self._logits(1, chunk))), self._following(chunk))

    def _beside(self, chunk: Chunk) -> Scores:
        found, at, following = [], 0, self._following(chunk)
        for a, b in zip(self._logits(0, chunk), self._logits(1, chunk), strict=True):
            found.append(score(a, b, following[at : at + len(a)]))
            at += len(a)
        return np.concatenate(found)

    def _logits(self, number: int, chunk: Chunk) -> Iterator[Floats]:
        """Of the scored positions, step by step; where models take turns they are copies."""
        reader, last = self.pair.reader(number), self.context - 1
        for wanted in reader.read([chunk.tokens], scored(self.context).start, self.given_up):
            count = sum(position < last for _, position in wanted)
            if count:
                logits = reader.logits(len(wanted))[:count]
                yield logits if self.pair.together else logits.copy()

    def _following(self, chunk: Chunk) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        places = scored(self.context)
        return np.array(chunk.tokens[places.start + 1 : places.stop + 1], np.int32)

    def _telling(self, chunks: list[Chunk], start: int, number: int) -> Iterator[Chunk]:
        for place, chunk in enumerate(chunks):
            self._told(start + (place + number * len(chunks)) / 2)
            yield chunk

    def _told(self, chunks: float) -> None:
        self.job.step(int(chunks * self.context), len(self.chunks) * self.context, "tokens")

    def _check(self, found: Scores, number: int) -> None:
        if np.isfinite(found).all():
            return
        which = self.pair.paths[0 if not np.isfinite(found[:, 2]).all() else 1]
        raise UserError(
            "broken_logits",
            f"{which.name} computes values that are no numbers (in part {number + 1} of the text).",
            "The file is damaged or was made with a type too narrow for it; convert it again with another type.",
            name=which.name,
            part=number + 1,
        )


def both_fit(paths: tuple[Path, Path]) -> bool:
    """Whether the free memory holds both models."""
    import psutil

    return sum(map(_bytes, paths)) < HEADROOM * psutil.virtual_memory().available


def _bytes(path: Path) -> int:
    return header(path).file_bytes


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _other_vocabulary(paths: tuple[Path, Path]) -> UserError:
    return UserError(
        "other_vocabulary",
        f"{paths[0].name} and {paths[1].name} have different vocabularies, so their predictions cannot be compared.",
        "Compare a model with what was made of it.",
        a=paths[0].name,
        b=paths[1].name,
    )
