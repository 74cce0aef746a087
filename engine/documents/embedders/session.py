"""An encoder run by onnxruntime: texts, or pairs of texts, to rows of numbers. Embedders and rerankers share it.

A checkpoint is made a graph with 8-bit weights once, in the model's own folder; an ONNX file that lies in the folder
is run as it is.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.documents.embedders import checkpoint, fingerprint
from engine.documents.embedders.blame import reading_tokenizer, running_graph
from models.damage import damaged
from models.encoder import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]
    Lengths = npt.NDArray[np.int32]

TOKENIZER = "tokenizer.json"
LARGEST_TOKENIZER = 200 * 2**20
LARGEST_NUMBER = 2**31 - 1
TOKENS_AT_ONCE, TEXTS_AT_ONCE = 2048, 16
READY = ("onnx/model_qint8_avx512_vnni.onnx", "onnx/model_quantized.onnx", "onnx/model.onnx", "model.onnx")
INPUTS = {"tokens", "lengths", "segments", "input_ids", "attention_mask", "token_type_ids"}
NUMBERS = ("tensor(float)", "tensor(float16)")
Text = str | tuple[str, str]


class Session:
    """`limit` in tokens. `run` belongs to one thread at a time."""

    def __init__(self, graph: Path, tokenizer: Path, limit: int, threads: int = 0) -> None:
        """Raises UserError damaged_model, no_onnxruntime."""
        self.graph, self.limit = graph, limit
        self._words, self._tokenizer = tokenizer, _tokenizer(tokenizer, limit)
        self._run = _session(graph, threads)
        self._inputs = [one.name for one in self._run.get_inputs()]
        self._check()
        self.pad = self._padding()

    def run(self, texts: Sequence[Text]) -> Iterator[tuple[list[int], Array, Lengths]]:
        """Places of texts, what the graph puts out for them, and the lengths; short texts first."""
        with reading_tokenizer(self._words):
            encodings = self._tokenizer.encode_batch(list(texts))
        lengths = [len(one.ids) for one in encodings]
        for group in groups(lengths):
            tokens, kinds = self._padded([encodings[at] for at in group])
            yield group, *self._outputs(tokens, kinds, [lengths[at] for at in group])

    def count(self, text: str) -> int:
        """Tokens of a text, without what frames it."""
        self._tokenizer.no_truncation()
        try:
            with reading_tokenizer(self._words):
                return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        finally:
            self._tokenizer.enable_truncation(self.limit)

    def words(self) -> list[str]:
        """The pieces it was trained with."""
        return list(self._tokenizer.get_vocab())

    def _check(self) -> None:
        """A graph may ask for anything, and put out anything."""
        strange = [name for name in self._inputs if name not in INPUTS]
        outputs = self._run.get_outputs()
        if strange or not outputs or outputs[0].type not in NUMBERS:
            raise damaged(self.graph, f"it is no encoder: {', '.join(strange) or 'its output'}")

    def _outputs(self, tokens: Any, kinds: Any, lengths: list[int]) -> tuple[Array, Lengths]:
        import numpy as np

        sizes = np.asarray(lengths, np.int32)
        mask = (np.arange(tokens.shape[1]) < sizes[:, None]).astype(np.int64)
        known = {
            "tokens": tokens,
            "lengths": sizes,
            "segments": kinds,
            "input_ids": tokens.astype(np.int64),
            "attention_mask": mask,
            "token_type_ids": kinds.astype(np.int64),
        }
        with running_graph(self.graph):
            out = self._run.run(None, {name: known[name] for name in self._inputs})[0]
        if not np.isfinite(out).all():
            raise damaged(self.graph, "its numbers are not finite")
        return np.asarray(out, np.float32), sizes

    def _padded(self, encodings: list[Any]) -> tuple[Any, Any]:
        import numpy as np

        longest = max(len(one.ids) for one in encodings)
        tokens = np.full((len(encodings), longest), self.pad, np.int32)
        kinds = np.zeros_like(tokens)
        for row, one in enumerate(encodings):
            tokens[row, : len(one.ids)] = self._numbers(one.ids)
            kinds[row, : len(one.ids)] = one.type_ids
        return tokens, kinds

    def _numbers(self, ids: list[int]) -> list[int]:
        """A tokenizer's file may give a piece any number, also one of more bits than a graph takes."""
        if max(ids, default=0) > LARGEST_NUMBER:
            raise damaged(self._words, "its numbers are too large")
        return ids

    def _padding(self) -> int:
        names = ("[PAD]", "<pad>")
        return next((n for name in names if (n := self._tokenizer.token_to_id(name)) is not None), 0)


def groups(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts read together: of like length, or the padding would be read, too."""
    group: list[int] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__):
        if group and (len(group) == TEXTS_AT_ONCE or lengths[at] * (len(group) + 1) > TOKENS_AT_ONCE):
            yield group
            group = []
        group.append(at)
    if group:
        yield group


def graph_of(model: Path, own: Path) -> Path:
    """The ONNX file to run: `model` itself, one in its folder, or the one made of its checkpoint in the folder `own`.

    Raises UserError damaged_model, unsupported_embedder, no_onnxruntime, disk_full.
    """
    if model.suffix.lower() == ".onnx":
        return model
    if checkpoint.is_encoder(model):
        return _prepared(model, own)
    ready = next((model / name for name in READY if (model / name).is_file()), None)
    if ready is None:
        checkpoint.read(model)  # says what is wrong with it
        raise damaged(model, "there are no weights")
    return ready


def _prepared(model: Path, own: Path) -> Path:
    from engine.documents.embedders.encoder_graph import FORM, write

    largest = largest_weight()
    made = own / f"prepared-{FORM}-{largest}-{fingerprint(model / WEIGHTS)}.onnx"
    if made.is_file():
        return made
    half = made.with_suffix(f".{os.getpid()}.part")
    try:
        own.mkdir(parents=True, exist_ok=True)
        with _needs("onnx"):
            write(checkpoint.read(model), half, largest)
        _to_disk(half)
        half.replace(made)
    except OSError as error:
        raise UserError(
            "disk_full", f"{made.name} cannot be written ({error.strerror}).", "Free some space, then try again."
        ) from error
    finally:
        half.unlink(missing_ok=True)
    return made


def _to_disk(path: Path) -> None:
    """A power cut must not leave a whole name over half a file."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def largest_weight() -> int:
    """127, or half of it on x86 processors without VNNI: there products of 8 bits overflow when they are added up."""
    from models.hardware import processor_features

    if platform.machine().lower() not in ("x86_64", "amd64"):
        return 127
    return 127 if processor_features() & {"AVX512_VNNI", "AVX_VNNI"} else 63


def _session(graph: Path, threads: int) -> Any:
    with _needs("onnxruntime"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _cores()
    options.log_severity_level = 4
    with running_graph(graph):
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _cores() -> int:
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))


def _tokenizer(path: Path, limit: int) -> Any:
    with _needs("tokenizers"):
        from tokenizers import Tokenizer
    if not path.is_file() or path.stat().st_size > LARGEST_TOKENIZER:
        raise damaged(path.parent, f"there is no {TOKENIZER}")
    with reading_tokenizer(path):
        found = Tokenizer.from_file(str(path))
    found.no_padding()
    found.enable_truncation(limit)
    return found


@contextmanager
def _needs(library: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UserError(
            "no_onnxruntime",
            f"The package {library} is not installed.",
            "Install Deskside with its `documents` extra.",
            library=library,
        ) from error
