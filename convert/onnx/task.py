"""What a checkpoint is exported as: one word of the exporter for each kind of network. Standard library only."""

from __future__ import annotations

from typing import Any

PAST = "-with-past"
VECTORS, SCORES, TEXT, ANSWERS = "feature-extraction", "text-classification", "text-generation", "text2text-generation"
_BY_ENDING = {
    "ForSequenceClassification": SCORES,
    "ForConditionalGeneration": ANSWERS + PAST,
    "ForCausalLM": TEXT + PAST,
    "LMHeadModel": TEXT + PAST,
}
# Networks that write, whatever class of theirs was saved: their head is tied to the embedding.
_WRITERS = (
    "gpt2",
    "opt",
    "codegen",
    "bloom",
    "gpt_neox",
    "gpt_neo",
    "gptj",
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "phi",
)
_ENCODER_DECODERS = ("bart", "mbart", "t5", "mt5", "longt5", "pegasus", "marian", "m2m_100", "blenderbot")
# Values of config.json that were trained elsewhere into few bits: their tensors are no weights to trace.
_PACKED = ("quantization_config", "compression_config")


def task_of(config: dict[str, Any]) -> str:
    """The task of a config.json: what its class ends with decides, then what the network is."""
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else ""
    found = next((task for ending, task in _BY_ENDING.items() if name.endswith(ending)), "")
    if found == TEXT + PAST and config.get("is_encoder_decoder") is True:
        return ANSWERS + PAST
    if found:
        return found
    kind = str(config.get("model_type"))
    if config.get("is_encoder_decoder") is True or kind in _ENCODER_DECODERS:
        return ANSWERS + PAST
    return TEXT + PAST if kind in _WRITERS else VECTORS


def packed(config: dict[str, Any]) -> str:
    """How a checkpoint was quantized, "" if its weights are plain numbers."""
    found = next((config[name] for name in _PACKED if isinstance(config.get(name), dict)), None)
    return "" if found is None else str(found.get("quant_method") or found.get("format") or "unknown")


def writes(task: str) -> bool:
    """Whether it makes text: only such a network can be given 4-bit weights by onnxruntime-genai."""
    return task.startswith(TEXT)
