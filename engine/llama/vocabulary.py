"""The vocabulary of a model file alone: how llama.cpp itself cuts texts. No weights are read."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.api.errors import UserError
from engine.llama.quiet import library, lines


class VocabularyOnly:
    """`with VocabularyOnly(path) as words`: free it, or leave the block, to give its memory back.

    Raises UserError vocabulary_not_loaded where llama.cpp refuses the file.
    """

    def __init__(self, path: Path) -> None:
        c = library()
        params = c.llama_model_default_params()
        params.vocab_only, params.n_gpu_layers = True, 0
        lines.clear()
        self._handle: Any = c.llama_model_load_from_file(os.fsencode(path), params)
        if not self._handle:
            raise _refused(path)
        self._vocab = c.llama_model_get_vocab(self._handle)
        self.size = int(c.llama_vocab_n_tokens(self._vocab))

    def __enter__(self) -> VocabularyOnly:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def tokenize(self, text: str, special: bool = False, around: bool = False) -> list[int]:
        """The tokens of a text; `special` reads control tokens written as text, `around` adds BOS, EOS, SEP as said."""
        c, data = library(), text.encode("utf-8", "replace")
        tokens = (ctypes.c_int32 * (len(data) + 8))()
        count = c.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), around, special)
        if count < 0:  # more tokens than bytes: a normalizer that spells out
            tokens = (ctypes.c_int32 * -count)()
            count = c.llama_tokenize(self._vocab, data, len(data), tokens, len(tokens), around, special)
        return list(tokens[: max(count, 0)])

    def is_end(self, token: int) -> bool:
        """Whether llama.cpp stops an answer at this token."""
        return 0 <= token < self.size and bool(library().llama_vocab_is_eog(self._vocab, token))

    def close(self) -> None:
        """Give the memory back. Calling it twice does no harm."""
        handle, self._handle = self._handle, None
        if handle:
            library().llama_model_free(handle)


def _refused(path: Path) -> UserError:
    detail = lines.last_error() or "llama.cpp does not say why"
    return UserError(
        "vocabulary_not_loaded",
        f"llama.cpp cannot use the vocabulary in {path.name}: {detail}.",
        "Choose another conversion of this model, or report the model.",
        name=path.name,
        detail=detail,
    )


def rendered(template: str, messages: list[dict[str, str]], bos: str, eos: str) -> str:
    """A conversation as the engine would hand it to this model; the template is foreign code and runs in its sandbox.

    Raises UserError bad_template.
    """
    from engine.prompts import render

    return render(template, [dict(each) for each in messages], bos=bos, eos=eos, add_generation_prompt=False)
