"""Variants that llama.cpp would run, and wrongly: its code has numbers that config.json may say otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from convert.config import Config
from convert.families import family_of
from engine.api.errors import UserError

SMOL = {"architectures": ["SmolLM3ForCausalLM"], "num_hidden_layers": 8}
NANO = {"architectures": ["Gemma3nForCausalLM"], "num_hidden_layers": 30}
USUAL = {"num_kv_shared_layers": 10, "activation_sparsity_pattern": [0.95] * 10 + [0.0] * 20}


def adjusted(values: dict[str, Any]) -> Config:
    config = Config(values)
    found = family_of(config)
    assert found
    return found[1].adjust(config)


def test_usual_ones_are_taken() -> None:
    assert adjusted(SMOL).get("rope_theta") == 2e6
    assert adjusted(SMOL | {"no_rope_layers": [1, 1, 1, 0] * 2}).get("rope_theta") == 2e6
    assert adjusted(NANO | USUAL).get("sliding_window") == 512


@pytest.mark.parametrize(
    ("values", "key"),
    [
        (SMOL | {"no_rope_layer_interval": 2}, "no_rope_layers"),
        (SMOL | {"no_rope_layers": [1] * 8}, "no_rope_layers"),
        (NANO | USUAL | {"num_kv_shared_layers": 9}, "num_kv_shared_layers"),
        (NANO | USUAL | {"activation_sparsity_pattern": [0.9] * 10 + [0.0] * 20}, "activation_sparsity_pattern"),
    ],
)
def test_others_are_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError) as caught:
        adjusted(values)
    assert (caught.value.code, caught.value.values["key"]) == ("fixed_in_llama", key)
