"""What is known and cannot become GGUF is refused with its own reason, and nothing that can is."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from convert.config import Config
from convert.families import all_families, family_of
from convert.refusals import THERE, entries, refusal_of, refuse
from engine.api.errors import UserError

LANGUAGES = Path(__file__).parents[2] / "desktop" / "languages"
NAMED = {
    "OPTForCausalLM": "opt",
    "BartForConditionalGeneration": "bart",
    "AlbertModel": "albert",
    "CodeGenForCausalLM": "codegen",
    "GPTJForCausalLM": "gptj",
    "MossForCausalLM": "moss",
    "CpmAntForCausalLM": "cpm_ant",
    "CpmBeeForCausalLM": "cpm_bee",
    "GPTPanguForCausalLM": "pangu_alpha",
    "HunYuanForCausalLM": "hunyuan_large",
    "MllamaForConditionalGeneration": "mllama",
    "Phi3SmallForCausalLM": "phi3_small",
}
FIRST_CHATGLM = {
    "architectures": ["ChatGLMModel"],
    "hidden_size": 4096,
    "inner_hidden_size": 16384,
    "max_sequence_length": 2048,
    "num_attention_heads": 32,
    "num_layers": 28,
    "position_encoding_2d": True,
    "vocab_size": 130528,
}
THIRD_CHATGLM = {
    "architectures": ["ChatGLMModel"],
    "hidden_size": 4096,
    "ffn_hidden_size": 13696,
    "multi_query_attention": True,
    "multi_query_group_num": 2,
    "num_attention_heads": 32,
    "num_layers": 28,
    "padded_vocab_size": 65024,
    "seq_length": 8192,
}
GLM4 = THIRD_CHATGLM | {"num_layers": 40, "padded_vocab_size": 151552, "rope_ratio": 500}


def words(language: str, code: str, values: dict[str, Any]) -> str:
    text = (LANGUAGES / language / "errors_convert.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)[code]).format(**values)


def examples() -> list[tuple[str, Config]]:
    """A config for each architecture of each entry, with what its `when` wants."""
    found = []
    for identity, entry in entries().items():
        asked = {key: 1 if value == THERE else value for key, value in entry.get("when", {}).items()}
        for architecture in entry["architectures"]:
            found.append((identity, Config({"architectures": [architecture], **asked})))
    return found


@pytest.mark.parametrize(("identity", "config"), examples())
def test_each_entry_knows_its_own_and_no_family_does(identity: str, config: Config) -> None:
    found = refusal_of(config)
    assert found is not None
    assert found["id"] == identity
    assert family_of(config) is None


@pytest.mark.parametrize("architecture", sorted(NAMED))
def test_what_was_asked_for_is_known(architecture: str) -> None:
    found = refusal_of(Config({"architectures": [architecture]}))
    assert found is not None
    assert found["id"] == NAMED[architecture]


@pytest.mark.parametrize("identity", sorted(entries()))
def test_an_entry_is_complete_in_both_languages(identity: str) -> None:
    entry = entries()[identity]
    wanted = {"architectures", "way", "nearest", "reason_en", "reason_zh"}
    assert wanted <= set(entry) <= wanted | {"when", "names"}
    assert entry["way"] in ("onnx", "")
    assert entry["nearest"]
    assert entry["reason_en"].endswith(".")
    assert entry["reason_zh"].endswith("。")


def test_three_models_of_one_architecture_are_told_apart() -> None:
    first, third, fourth = Config(FIRST_CHATGLM), Config(THIRD_CHATGLM), Config(GLM4)
    assert family_of(first) is None
    assert refuse(first).values["nearest"] == "ChatGLM3-6B"
    assert refusal_of(third) is None
    assert refusal_of(fourth) is None
    known, other = family_of(third), family_of(fourth)
    assert known is not None
    assert known[0] == "chatglm"
    assert other is None or other[0] != "chatglm"


@pytest.mark.parametrize("name", ["GLM-130B", "cpm-2", "Pangu-Alpha-2.6B"])
def test_what_has_no_architecture_is_known_by_its_folder(name: str) -> None:
    error = refuse(Config({}, Path("/models") / name))
    assert error.code == "refused_family"


def test_a_variant_that_cannot_run_is_refused_and_its_family_is_not() -> None:
    falcon = {"architectures": ["FalconForCausalLM"], "num_attention_heads": 8, "parallel_attn": True}
    assert family_of(Config(falcon)) is not None
    assert family_of(Config(falcon | {"alibi": True})) is None
    assert refuse(Config(falcon | {"alibi": True})).code == "refused_for_onnx"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("architecture", ["OPTForCausalLM", "MossForCausalLM"])
def test_the_reason_is_told_in_the_persons_language(language: str, architecture: str) -> None:
    error = refuse(Config({"architectures": [architecture]}))
    told = words(language, error.code, error.values)
    assert str(error.values[f"reason_{language}"]) in told
    assert ("ONNX" in told) is (error.code == "refused_for_onnx")


@pytest.mark.parametrize("architectures", [["NobodysForCausalLM"], [], None, "LlamaForCausalLM", [7]])
def test_what_nobody_knows_is_said_to_be_unknown(architectures: Any) -> None:
    error = refuse(Config({"architectures": architectures}))
    assert error.code == "unknown_architecture"
    assert words("zh", error.code, error.values)


def test_no_refused_architecture_is_claimed_without_a_condition() -> None:
    claimed = {name for family in all_families().values() for name in family.architectures}
    refused = {name for entry in entries().values() if not entry.get("when") for name in entry["architectures"]}
    assert not claimed & refused


@pytest.mark.parametrize(
    ("architecture", "values", "key"),
    [
        ("GPT2LMHeadModel", {"scale_attn_weights": False}, "scale_attn_weights"),
        ("BloomForCausalLM", {"apply_residual_connection_post_layernorm": True}, None),
        ("GPTNeoXForCausalLM", {"attention_bias": False}, "attention_bias"),
        ("FalconForCausalLM", {"num_attention_heads": 8, "bias": True}, "bias"),
        ("BaichuanForCausalLM", {"num_hidden_layers": 24}, "num_hidden_layers"),
        ("T5EncoderModel", {"feed_forward_proj": "gated-silu"}, "feed_forward_proj"),
        ("T5ForConditionalGeneration", {"relative_attention_max_distance": 64}, "relative_attention_max_distance"),
        ("BertModel", {"hidden_act": "relu"}, "hidden_act"),
        ("BertModel", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ("RobertaModel", {"hidden_act": "silu"}, "hidden_act"),
        ("DeepseekV32ForCausalLM", {"index_head_dim": 96}, "index_head_dim"),
        ("GPTBigCodeForCausalLM", {"n_head": 4, "activation_function": "relu"}, "activation_function"),
    ],
)
def test_what_llama_takes_for_granted_must_be_so(architecture: str, values: dict[str, Any], key: str | None) -> None:
    config = Config({"architectures": [architecture], **values})
    found = family_of(config)
    assert found is not None
    with pytest.raises(UserError) as caught:
        found[1].adjust(config)
    assert caught.value.code == "fixed_in_llama"
    assert caught.value.values["key"] == (key or next(iter(values)))
