"""4-bit weights: whether their builder is there, and what to do where it is not. The work is in four_bits.py."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from convert.note import spoken
from engine.api.errors import UserError

# 0.16 and later ask for a transformers that optimum-onnx cannot take.
PACKAGES = ("onnxruntime-genai==0.15.2", "onnx_ir==1.1.0")
TOO_NEW = (0, 16)
_ASK = """
from importlib.metadata import version
from importlib.util import find_spec
print(version("onnxruntime-genai") if find_spec("onnxruntime_genai.models.builder") and find_spec("onnx_ir") else "")
"""


def check(python: Path) -> None:
    """Raises UserError int4_not_installed where the exporter's environment has no builder, or one that is too new."""
    found = installed(python)
    if found and found < TOO_NEW:
        return
    command = f'"{python}" -m pip install {" ".join(PACKAGES)}'
    raise UserError(
        "int4_not_installed",
        "4-bit ONNX needs onnxruntime-genai, which is not installed in the exporter's environment (or too new for it).",
        f"Install it there with: {command}. Or choose 8 bits, or convert to GGUF, where 4 bits work without it.",
        command=command,
    )


def installed(python: Path) -> tuple[int, ...]:
    """The builder's version, () where it cannot be called."""
    asked = subprocess.run([python, "-P", "-c", _ASK], check=False, capture_output=True, text=True, timeout=60)
    return tuple(int(part) for part in re.findall(r"\d+", asked.stdout)[:2])


def no_int4(reason: str) -> UserError:
    """The error for 4 bits that cannot be had."""
    return UserError(
        "no_int4",
        f"4-bit ONNX cannot be made: {reason}.",
        "Choose 8 bits, or convert to GGUF, where 4 bits work without it.",
        reason=spoken(reason),
    )
