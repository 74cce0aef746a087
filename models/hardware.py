"""What this machine has: cores, memory, disk. GPUs are told by the engine, which asks llama.cpp."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
# What makes a difference to llama.cpp: the name in /proc/cpuinfo and llama.cpp's own.
_FEATURES = {"avx": "AVX", "avx2": "AVX2", "fma": "FMA", "f16c": "F16C", "bmi2": "BMI2", "avx_vnni": "AVX_VNNI"}
_FEATURES |= {"avx512f": "AVX512", "avx512vbmi": "AVX512_VBMI", "avx512_vnni": "AVX512_VNNI"}
_FEATURES |= {"avx512_bf16": "AVX512_BF16", "amx_int8": "AMX_INT8", "asimddp": "DOTPROD", "sve": "SVE"}
_FEATURES |= {"i8mm": "MATMUL_INT8"}


@dataclass(frozen=True)
class Device:
    """One GPU as llama.cpp lists it; sizes in bytes."""

    name: str
    total: int
    free: int


@dataclass(frozen=True)
class Hardware:
    """What models may use. `total`, `available` are main memory in bytes, `threads` counts logical cores."""

    cores: int
    threads: int
    total: int
    available: int
    devices: tuple[Device, ...] = ()


def probe(devices: Sequence[Device] = (), held: int = 0) -> Hardware:
    """Measure now. `held`: bytes the model in memory would give back if another one took its place."""
    import psutil

    total, available = _main_memory()
    threads = psutil.cpu_count(logical=True) or 1
    cores = min(psutil.cpu_count(logical=False) or threads, allowed_cores(threads))
    return Hardware(cores, threads, total, min(total, available + held), tuple(devices))


def free_memory() -> int:
    """Bytes of main memory that are available now."""
    return _main_memory()[1]


def processor_features(source: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What this processor has that llama.cpp can use, by llama.cpp's names; empty where the system does not tell."""
    for line in _read(source).splitlines():
        name, _, words = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(_FEATURES[word] for word in words.split() if word in _FEATURES)
    return frozenset()


def free_disk(folder: Path) -> int:
    """Free bytes on the disk that holds `folder` (which need not exist yet)."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def allowed_cores(threads: int) -> int:
    """Cores this process may run on: affinity and a container's CPU quota can both be lower than the machine's."""
    import os

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else threads
    words = _read(_CGROUP / "cpu.max").split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
        allowed = min(allowed, max(1, round(int(words[0]) / int(words[1]))))
    return max(1, allowed)


def _main_memory() -> tuple[int, int]:
    """Bytes in all, and available: of the machine, or of the container where that has less."""
    import psutil

    memory = psutil.virtual_memory()
    limit, used = _container_memory()
    if 0 < limit < memory.total:
        return limit, min(memory.available, max(0, limit - used))
    return memory.total, memory.available


def _container_memory() -> tuple[int, int]:
    """Limit and use in bytes of a container (cgroup v2, then v1); (0, 0) where there is none."""
    for limit_file, used_file, stat_file in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        limit, used = _read(_CGROUP / limit_file), _read(_CGROUP / used_file)
        if limit.isdigit() and used.isdigit():
            # File pages the system would drop at once are not really used.
            return int(limit), max(0, int(used) - _reclaimable(_CGROUP / stat_file))
    return 0, 0


def _reclaimable(stat_file: Path) -> int:
    for line in _read(stat_file).splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdigit():
            return int(value)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
