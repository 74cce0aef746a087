"""The few dimensions of a model from which its memory need follows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Dimensions of a transformer, in elements. 0 means unknown (or, for windows, none).

    `kv_heads` has one number per layer; a layer with 0 keeps no cache (recurrent or shared).
    `sliding` has one flag per layer: True where the layer looks back only `sliding_window` tokens.
    """

    layers: int = 0
    embedding: int = 0
    heads: int = 0
    kv_heads: tuple[int, ...] = ()
    key_length: int = 0
    value_length: int = 0
    feed_forward: int = 0
    vocabulary: int = 0
    sliding_window: int = 0
    sliding: tuple[bool, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the dimensions suffice for an estimate."""
        return bool(self.layers and self.embedding and self.kv_heads)


def sliding_layers(layers: int, full_every: int) -> tuple[bool, ...]:
    """The usual pattern: the last of every `full_every` layers sees everything; 0 or 1 = every layer does."""
    if full_every <= 1:
        return (False,) * layers
    return tuple((layer + 1) % full_every != 0 for layer in range(layers))
