"""What the engine says of sources, types and reports, and the convert page fed with it."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtWidgets import QAbstractButton, QLabel, QWidget
from pytestqt.qtbot import QtBot

from desktop.desk import Desk
from desktop.pages.convert import ConvertPage

SIZES = {"F16": 200, "Q8_0": 106, "Q6_K": 82, "Q5_K_M": 71, "Q4_K_M": 61, "IQ4_XS": 56, "Q3_K_M": 50, "Q2_K": 40}
KLD = {"F16": 0.0, "Q8_0": 0.001, "Q6_K": 0.005, "Q5_K_M": 0.011, "Q4_K_M": 0.031, "Q3_K_M": 0.102, "Q2_K": 0.445}


def shown(qtbot: QtBot, desk: Desk) -> ConvertPage:
    """The page, as large as in the window."""
    made = ConvertPage(desk)
    qtbot.addWidget(made)
    made.resize(1220, 800)
    made.show()
    return made


def target(kind: str, **values: Any) -> dict[str, Any]:
    """A row as convert.targets gives it."""
    made: dict[str, Any] = {
        "type": kind,
        "bytes": SIZES.get(kind, 30) * 1_000_000,
        "bits": SIZES.get(kind, 30) / 12.5,
        "fit": "fits",
    }
    made |= {"usual_bits": made["bits"], "imatrix": "no", "quality": {}, "words": {"en": "Words.", "zh": "说明。"}}
    made |= {"fallbacks": [], "fallback_tensors": 0, "tensor_count": 21, "requantized": 0, "wanting_importance": 0}
    made["quality"] = {"kld": KLD[kind]} if kind in KLD else {}
    return made | {"tensors": []} | values


def source(**values: Any) -> dict[str, Any]:
    """What convert.look says of a checkpoint."""
    made: dict[str, Any] = {
        "kind": "checkpoint",
        "name": "Small-1B",
        "family": "llama",
        "architecture": "LlamaForCausalLM",
    }
    made |= {"parameters": 1_100_000_000, "bytes": 200_000_000, "dtype": "F16", "quantized": "", "context": 8192}
    made |= {"license": "mit", "files": 2, "can": ["gguf", "onnx", "merge"], "refused": None, "notes": []}
    return made | values


def targets(**values: Any) -> dict[str, Any]:
    """What convert.targets says of it."""
    rows = [target(kind) for kind in (*SIZES, "IQ2_XXS")]
    rows[-1] |= {"imatrix": "required", "wanting_importance": 9, "quality": {"kld_imatrix": 0.812}}
    rows[5] |= {"imatrix": "better", "quality": {"kld_imatrix": 0.036}}
    return source(targets=rows) | values


def quality(**values: Any) -> dict[str, Any]:
    """The figures of a report."""
    own: dict[str, Any] = {"kl_mean": 0.03, "kl_mean_low": 0.02, "kl_mean_high": 0.04, "top1": 0.92, "top1_low": 0.9}
    own |= {"top1_high": 0.94, "ppl_ratio": 1.02, "ppl_ratio_low": 1.0, "ppl_ratio_high": 1.04, "tokens": 5000}
    own |= {"ppl_a": 12.0, "ppl_b": 12.4}
    made = own | {"languages": {"zh": own | {"kl_mean": 0.6}, "en": own}, "verdict": "usable", "sure": True}
    made |= {"verdict_low": "usable", "verdict_high": "usable", "reasons": ["language_zh"]}
    made |= {"thresholds": {"kl_mean": [0.1, 0.5], "top1": [0.88, 0.7], "ppl_ratio": [1.15, 1.6]}}
    made["speed"] = {"a": {"prefill": 100.0, "decode": 20.0}, "b": {"prefill": 150.0, "decode": 31.0}}
    return made | {"memory": {"a": 400_000_000, "b": 150_000_000}} | values


def report(**values: Any) -> dict[str, Any]:
    """What convert.report gives."""
    made: dict[str, Any] = {
        "schema": 1,
        "made": "2026-01-01",
        "source": {"name": "Small-1B"},
        "settings": {},
        "tensors": {},
    }
    made |= {"result": {"type": "Q4_K_M", "bytes": 61_000_000, "bits": 4.9, "sha256": "0"}, "imatrix": None}
    return made | {"quality": quality(), "warnings": ["A plain warning."]} | values


def feed(page: ConvertPage, **values: Any) -> None:
    """A source with its types on show."""
    page.source = "/models/Small-1B"
    page.show_source(source(**values))
    page.show_targets(targets(**values))


def words(widget: QWidget) -> str:
    """All that is to be read."""
    shown = [label.text() for label in widget.findChildren(QLabel) if label.isVisibleTo(widget)]
    shown += [button.text() for button in widget.findChildren(QAbstractButton) if button.isVisibleTo(widget)]
    return "\n".join(shown).replace("\u00a0", " ")


def asked(page: ConvertPage, name: str) -> list[dict[str, Any]]:
    """The parameters of the calls of a name that wait for the engine."""
    lines = [json.loads(call.line) for call in page.desk.client._calls.values()]
    return [line["params"] for line in lines if line["call"] == name]
