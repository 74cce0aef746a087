"""Layers behind the last one that look further ahead than one token."""

from __future__ import annotations

import re

from convert.config import Config
from convert.family import Key


def more_layers(config: Config) -> int:
    """How many there are: what the config promises, unless the checkpoint was saved without them."""
    promised = int(config.get("num_nextn_predict_layers", default=0))
    if not config.names:
        return promised
    places = (re.search(r"(?:^|\.)layers\.(\d+)\.", name) for name in config.names)
    last = max((int(found[1]) for found in places if found), default=-1)
    return max(0, min(promised, last + 1 - config.size("layers")))


MORE_LAYERS = (
    Key("block_count", value=lambda config: config.size("layers") + more_layers(config)),
    Key("nextn_predict_layers", value=lambda config: more_layers(config) or None),
)
