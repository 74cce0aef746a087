"""Writing without letting go of the interpreter: not for Windows."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable


def _write() -> Callable[[int, bytes, int], int]:
    windows = sys.platform == "win32"  # where nobody calls it
    found = ctypes.PyDLL("ucrtbase")._write if windows else ctypes.PyDLL(None).write
    found.argtypes, found.restype = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t], ctypes.c_ssize_t
    return found


# As C has it: a file that never blocks, data, its length; bytes taken, -1 for none.
#
# os.write lets go of the interpreter. Then the thread that waits for it takes it, or whoever is woken by the write
# takes the core meanwhile; the model's thread, which has a fifth of a millisecond to do until the next step, comes
# last.
write = _write()
