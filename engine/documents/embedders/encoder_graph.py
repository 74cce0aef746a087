"""An encoder of the BERT family (BERT, XLM-RoBERTa, RoBERTa) as an ONNX graph with 8-bit weights.

Inputs: `tokens` int32 (texts, length), `lengths` int32 (texts,): how many of a row are tokens, the rest is padding on
the right, and `segments` int32 (texts, length). Output: `vectors` (texts, width) of length 1, or `scores`
(texts, classes) of a model with a ranking head.
Weights of matrices are 8-bit numbers, one scale a column; what they are multiplied with becomes 8-bit while running.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.documents.embedders.checkpoint import Encoder

    Array = npt.NDArray[Any]

FORM = 1  # goes up when the graph of the same weights changes
FUSED = "com.microsoft"
LARGEST = 127
GELU = {"gelu": "Gelu", "gelu_new": "FastGelu", "gelu_pytorch_tanh": "FastGelu", "gelu_fast": "FastGelu"}


@dataclass(frozen=True)
class Quantized:
    """A matrix in 8 bits: `values` int8 (rows, columns) times `scales` float32, one a row."""

    values: Array
    scales: Array


def quantized(matrix: npt.NDArray[np.float32], largest: int = LARGEST) -> Quantized:
    """Each row by its own scale, 0 staying 0."""
    import numpy as np

    most = np.abs(matrix).max(1)
    scales = np.where(most > 0, most / largest, 1).astype(np.float32)
    return Quantized(np.rint(matrix / scales[:, None]).astype(np.int8), scales)


def write(encoder: Encoder, path: Path, largest: int = LARGEST) -> None:
    """Write the graph of a checkpoint to `path`. The caller renames it when it is whole."""
    import onnx

    graph = _Graph(encoder, largest)
    graph.build()
    onnx.save_model(graph.model(), str(path))


class _Graph:
    """Nodes and weights, added in the order of the network. A name stands for the values that a node puts out."""

    def __init__(self, encoder: Encoder, largest: int) -> None:
        self._of, self._largest = encoder, largest
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._output = ("scores", encoder.classes) if encoder.classes else ("vectors", encoder.width)

    def build(self) -> None:
        """The whole network, from tokens to vectors or scores."""
        x = self._embedded()
        self._key_lengths()
        for number in range(self._of.layers):
            x = self._layer(x, f"encoder.layer.{number}.")
        if self._of.classes:
            self._ranked(x)
        else:
            self._pooled(x)

    def model(self) -> Any:
        """As onnx.ModelProto."""
        from onnx import TensorProto as Kind
        from onnx import helper

        size = ["texts", "length"]
        inputs = [
            helper.make_tensor_value_info("tokens", Kind.INT32, size),
            helper.make_tensor_value_info("lengths", Kind.INT32, size[:1]),
            helper.make_tensor_value_info("segments", Kind.INT32, size),
        ]
        outputs = [helper.make_tensor_value_info(self._output[0], Kind.FLOAT, ["texts", self._output[1]])]
        graph = helper.make_graph(self._nodes, "encoder", inputs, outputs, self._weights)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="deskside")

    # The parts of the network, in its order -----------------------------------------------------------------------

    def _embedded(self) -> str:
        """Words from a table in 8 bits (a quarter of 250,000 words' memory), positions and segments added."""
        table = quantized(self._of.weight("embeddings.word_embeddings.weight"))
        rows = self._add("Gather", self._keep("words", table.values), "tokens")
        scales = self._add("Gather", self._keep("word_scales", table.scales[:, None]), "tokens")
        words = self._add("Mul", self._add("Cast", rows, to=1), scales)
        places = self._keep("places", self._of.weight("embeddings.position_embeddings.weight")[self._of.first_place :])
        length = self._add("Slice", self._add("Shape", "tokens"), self._whole([1]), self._whole([2]))
        here = self._add("Slice", places, self._whole([0]), length, self._whole([0]))
        kinds = self._keep("kinds", self._of.weight("embeddings.token_type_embeddings.weight"))
        both = self._add("Add", words, self._add("Gather", kinds, "segments"))
        return self._normed(self._add("Add", both, here), "embeddings.LayerNorm")

    def _key_lengths(self) -> None:
        """The mask of padding that attention wants, and `mask` as 1.0 and 0.0 for the pooling."""
        length = self._add(
            "Squeeze", self._add("Slice", self._add("Shape", "tokens"), self._whole([1]), self._whole([2]))
        )
        steps = self._add("Range", self._whole(0), length, self._whole(1))
        ends = self._add("Unsqueeze", self._add("Cast", "lengths", to=7), self._whole([1]))
        self._add("Cast", self._add("Less", steps, ends), to=1, out="mask")
        self._add("Cast", "mask", to=6, out="keys")

    def _layer(self, x: str, at: str) -> str:
        query, key, value = self._queries(x, at + "attention.self.")
        seen = self._add("MultiHeadAttention", query, key, value, "", "keys", domain=FUSED, num_heads=self._of.heads)
        x = self._summed(self._dense(seen, at + "attention.output.dense"), x, at + "attention.output.LayerNorm")
        up = self._bent(self._dense(x, at + "intermediate.dense"))
        return self._summed(self._dense(up, at + "output.dense"), x, at + "output.LayerNorm")

    def _queries(self, x: str, at: str) -> list[str]:
        """Queries, keys and values by one multiplication."""
        import numpy as np

        names = [at + part for part in ("query", "key", "value")]
        weight = np.concatenate([self._of.weight(name + ".weight") for name in names])
        bias = np.concatenate([self._of.weight(name + ".bias") for name in names])
        joined = self._times(x, weight, bias, at)
        outs = [f"{at}{part}.out" for part in "qkv"]
        self._node("Split", [joined], outs, axis=-1, num_outputs=3)
        return outs

    def _bent(self, x: str) -> str:
        name = GELU.get(self._of.activation)
        return self._add(name, x, domain=FUSED) if name else self._add("Relu", x)

    def _pooled(self, x: str) -> None:
        """Mean, first or last token of each text, length 1."""
        if self._of.pooling == "mean":
            wide = self._add("Unsqueeze", "mask", self._whole([2]))
            total = self._add("ReduceSum", self._add("Mul", x, wide), self._whole([1]), keepdims=0)
        else:
            total = self._first(x)
        self._add("LpNormalization", total, out="vectors", axis=-1, p=2)

    def _ranked(self, x: str) -> None:
        """The head of a cross-encoder over the first token: BERT's pooler and classifier, or RoBERTa's own head."""
        first = self._first(x)
        for name in self._of.head[:-1]:
            first = self._add("Tanh", self._plain(first, name))
        self._plain(first, self._of.head[-1], out="scores")

    def _first(self, x: str) -> str:
        return self._add("Gather", x, self._whole(0), axis=1)

    # Pieces ---------------------------------------------------------------------------------------------------------

    def _dense(self, x: str, name: str) -> str:
        return self._times(x, self._of.weight(name + ".weight"), self._of.weight(name + ".bias"), name)

    def _times(self, x: str, weight: Array, bias: Array, name: str) -> str:
        small = quantized(weight, self._largest)
        return self._add(
            "DynamicQuantizeMatMul",
            x,
            self._keep(name + ".8", small.values.T.copy()),
            self._keep(name + ".scales", small.scales),
            "",
            self._keep(name + ".bias", bias),
            domain=FUSED,
        )

    def _plain(self, x: str, name: str, out: str = "") -> str:
        """In 32 bits: the head is small, and its numbers are the scores."""
        weight = self._keep(name + ".weight", self._of.weight(name + ".weight"))
        return self._add(
            "Gemm", x, weight, self._keep(name + ".bias", self._of.weight(name + ".bias")), transB=1, out=out
        )

    def _summed(self, x: str, y: str, norm: str) -> str:
        scale, shift = self._norm(norm)
        return self._add("SkipLayerNormalization", x, y, scale, shift, domain=FUSED, epsilon=self._of.epsilon)

    def _normed(self, x: str, norm: str) -> str:
        scale, shift = self._norm(norm)
        return self._add("LayerNormalization", x, scale, shift, axis=-1, epsilon=self._of.epsilon)

    def _norm(self, name: str) -> tuple[str, str]:
        keep = [self._keep(f"{name}.{part}", self._of.weight(f"{name}.{part}")) for part in ("weight", "bias")]
        return keep[0], keep[1]

    def _whole(self, value: int | list[int]) -> str:
        import numpy as np

        return self._keep(f"whole.{len(self._weights)}", np.asarray(value, np.int64))

    def _keep(self, name: str, array: Array) -> str:
        from onnx import numpy_helper

        self._weights.append(numpy_helper.from_array(array, name))
        return name

    def _add(self, kind: str, *inputs: str, domain: str = "", out: str = "", **settings: Any) -> str:
        name = out or f"{kind}.{len(self._nodes)}"
        self._node(kind, list(inputs), [name], domain, **settings)
        return name

    def _node(self, kind: str, inputs: list[str], outputs: list[str], domain: str = "", **settings: Any) -> None:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **settings))
