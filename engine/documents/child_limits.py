"""What the system itself holds the reading process to, where it can. The parent watches time and memory besides."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

ADDRESSES_BESIDE = 1 << 30  # threads and libraries reserve addresses that they never fill


def limit_this_process(seconds: float, memory: int) -> None:
    """From now on at most so much processor time, and so many bytes more than are in use. Nothing on Windows."""
    if sys.platform == "win32":
        return
    import resource

    limit_time(seconds)
    _lower(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_AS, _addresses() + memory + ADDRESSES_BESIDE)


def limit_time(seconds: float) -> None:
    """Processor time from now on. Nothing on Windows."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    processor_s = used.ru_utime + used.ru_stime + seconds * (os.cpu_count() or 1) + 1
    _lower(resource.RLIMIT_CPU, math.ceil(processor_s))


def _lower(kind: int, wanted: int) -> None:
    """Set the soft limit, which the next file can raise again as far as the hard one goes."""
    import resource

    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _addresses() -> int:
    """Bytes of address space in use, on Linux."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
