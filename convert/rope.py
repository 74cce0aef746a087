"""Tensors of frequencies that stretch rotary positions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from convert.config import Config
from convert.family import Extra

_STRETCH = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_ONE, _CIRCLE = np.float32(1.0), np.float32(2 * math.pi)


def rope_factors(config: Config) -> NDArray[np.float32] | None:
    """What Llama 3's stretching divides each frequency by (transformers, modeling_rope_utils, `llama3`)."""
    rope = config.rope_full
    if str(rope.get("rope_type", "")).lower() != "llama3":
        return None
    width = config.size("head_dim")
    base = float(rope.get("rope_theta", 10000.0))
    powers = (np.arange(0, width, 2, dtype=np.float32) / np.float32(width)).astype(np.float64)
    return np.array([_factor(_ONE / np.float32(base**power), rope) for power in powers], np.float32)


def _factor(frequency: np.float32, rope: dict[str, float]) -> np.float32:
    """In single precision and by way of reciprocals, as torch computes it: so are the files that others publish."""
    factor, low, high = (np.float32(rope.get(name, usual)) for name, usual in _STRETCH.items())
    original = np.float32(rope.get("original_max_position_embeddings", 8192))
    wavelength = _ONE / frequency * _CIRCLE
    if wavelength < original / high:
        return _ONE
    if wavelength > original / low:
        return factor
    smooth = (_ONE / wavelength * original - low) / (high - low)
    return _ONE / ((_ONE - smooth) / factor + smooth)


ROPE_FREQUENCIES = Extra("rope_freqs.weight", rope_factors)
