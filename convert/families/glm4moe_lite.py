"""GLM-4.7-Flash: DeepSeek V3's network, and a layer that looks one token further, which llama.cpp keeps here."""

from __future__ import annotations

from convert.families.deepseek2 import FAMILY as DEEPSEEK2
from convert.families.deepseek2 import KEYS
from convert.family import Family
from convert.next_token import MORE_LAYERS
from convert.rules import NEXT_TOKEN, without_tied_head

FAMILY = Family(
    architectures=("Glm4MoeLiteForCausalLM",),
    arch=DEEPSEEK2.arch,
    rules=(*DEEPSEEK2.rules, *NEXT_TOKEN),
    keys=(*KEYS, *MORE_LAYERS),
    place=without_tied_head,
)
