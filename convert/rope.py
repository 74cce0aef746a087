"""Tensors of frequencies that stretch rotary positions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from convert.config import Config
from convert.family import Extra

_STRETCH = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


def rope_factors(config: Config) -> NDArray[np.float32] | None:
    """What Llama 3's stretching divides each frequency by (transformers, modeling_rope_utils, `llama3`)."""
    rope = config.rope_full
    if str(rope.get("rope_type", "")).lower() != "llama3":
        return None
    width = config.size("head_dim")
    base = np.float32(rope.get("rope_theta", 10000.0))
    frequencies = np.float32(1.0) / base ** (np.arange(0, width, 2, dtype=np.float32) / np.float32(width))
    return np.array([_factor(float(2 * math.pi / each), rope) for each in frequencies], np.float32)


def _factor(wavelength: float, rope: dict[str, float]) -> float:
    factor, low, high = (float(rope.get(name, usual)) for name, usual in _STRETCH.items())
    original = float(rope.get("original_max_position_embeddings", 8192))
    if wavelength < original / high:
        return 1.0
    if wavelength > original / low:
        return factor
    smooth = (original / wavelength - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)


ROPE_FREQUENCIES = Extra("rope_freqs.weight", rope_factors)
