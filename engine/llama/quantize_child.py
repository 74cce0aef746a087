"""The process in which llama_model_quantize works: `python -m engine.llama.quantize_child REQUEST.json`.

llama.cpp has no way to stop it, so whoever started it kills it; the end of stdin (its starter is gone) ends it too.
What llama.cpp says goes out on stdout as it comes, {"level", "text"} a line, and last {"code"}: 0 is success.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from pathlib import Path
from typing import IO, Any

from engine.llama.ggml_types import NUMBERS
from engine.llama.quiet import library

INT, FLOAT, BOOL, TEXT = 0, 1, 2, 3  # llama_model_kv_override_type
NO_TYPE = 43  # GGML_TYPE_COUNT


def main() -> int:
    """Do what the request file says."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    threading.Thread(target=_end_with_starter, daemon=True).start()
    module = library()
    speak = speaker(module, output)
    module.llama_log_set(speak, None)
    arguments = Arguments(module, request)
    code = module.llama_model_quantize(os.fsencode(request["source"]), os.fsencode(request["out"]), arguments.params)
    _say(output, {"code": int(code)})
    return int(code)


def speaker(module: Any, output: IO[str]) -> Any:
    """The log callback; the caller keeps it alive."""

    def hear(level: int, text: bytes, _: object) -> None:
        _say(output, {"level": level, "text": text.decode("utf-8", "replace")})

    return module.llama_log_callback(hear)


def _say(output: IO[str], event: dict[str, Any]) -> None:
    output.write(json.dumps(event) + "\n")
    output.flush()


def _end_with_starter() -> None:
    while os.read(0, 4096):
        pass
    os._exit(9)


class Arguments:
    """llama_model_quantize_params, and what they point to, for as long as this lives."""

    def __init__(self, module: Any, request: dict[str, Any]) -> None:
        self._module = module
        self._kept: list[Any] = []
        self.params = module.llama_model_quantize_default_params()
        self.params.nthread, self.params.ftype = request["threads"], request["file_type"]
        for name in ("allow_requantize", "only_copy", "keep_split", "dry_run", "max_buf_size"):
            setattr(self.params, name, request[name])
        self.params.tt_overrides = self._overrides(request["overrides"])
        self.params.prune_layers = self._layers(request["prune_layers"])
        self.params.imatrix = self._importance(request["importance_file"], request["importance"])
        self.params.kv_overrides = self._entries(request["entries"])

    def _keep(self, array: Any) -> Any:
        self._kept.append(array)
        return array

    def _overrides(self, wanted: list[list[str]]) -> Any:
        if not wanted:
            return None
        items = [(pattern.encode(), NUMBERS[type]) for pattern, type in wanted]
        return self._keep((self._module.llama_model_tensor_override * (len(items) + 1))(*items, (None, NO_TYPE)))

    def _layers(self, layers: list[int]) -> Any:
        return self._keep((ctypes.c_int32 * (len(layers) + 1))(*layers, -1)) if layers else None

    def _importance(self, file: str, sizes: list[list[Any]]) -> Any:
        """Importances from one file of float32, tensor after tensor."""
        if not sizes:
            return None
        import numpy as np

        numbers = self._keep(np.fromfile(file, dtype=np.float32))
        pointer = ctypes.POINTER(ctypes.c_float)
        items, at = [], 0
        for name, size in sizes:
            items.append((name.encode(), numbers[at : at + size].ctypes.data_as(pointer), size))
            at += size
        return self._keep((self._module.llama_model_imatrix_data * (len(items) + 1))(*items, (None, None, 0)))

    def _entries(self, entries: dict[str, str | int]) -> Any:
        """Header entries to add: texts (127 bytes at most) and whole numbers."""
        if not entries:
            return None
        array = (self._module.llama_model_kv_override * (len(entries) + 1))()
        for item, (key, value) in zip(array, entries.items(), strict=False):
            item.tag, item.key = TEXT if isinstance(value, str) else INT, key.encode()[:127]
            if isinstance(value, str):
                item.value.val_str = value.encode()[:127].decode("utf-8", "ignore").encode()
            else:
                item.value.val_i64 = value
        return self._keep(array)


if __name__ == "__main__":
    sys.exit(main())
