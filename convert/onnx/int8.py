"""Dynamic 8-bit quantization by onnxruntime: weights of products a column, activations as they come."""

from __future__ import annotations

from pathlib import Path

TRAIL = "_quantized"
# A few huge activations go into these products of networks that write; 8 bits for all of them leave the others nothing.
DELICATE = ("down_proj", "mlp/c_proj", "fc_out", "fc2", "dense_4h_to_h", "wo/")
LARGE = 1_800_000_000  # bytes: a protobuf file holds 2 GiB at most


def quantize(graph: Path, reduced: bool, keep: tuple[str, ...] = ()) -> Path:
    """Write NAME_quantized.onnx beside NAME.onnx. `reduced`: weights of 7 bits, for processors where 8 overflow.

    Products whose names have one of `keep` in them stay as they are.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = graph.with_name(f"{graph.stem}{TRAIL}.onnx")
    quantize_dynamic(
        graph,
        made,
        op_types_to_quantize=["MatMul", "Gemm", "Attention"],
        nodes_to_exclude=_named(graph, keep),
        per_channel=True,
        reduce_range=reduced,
        weight_type=QuantType.QInt8,
        use_external_data_format=_size(graph) > 3 * LARGE,
        # A merged decoder keeps its work in branches; a product of two activations is no weight.
        extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
    )
    return made


def _named(graph: Path, words: tuple[str, ...]) -> list[str]:
    """The nodes with one of these words in their names, those of branches too."""
    import onnx

    if not words:
        return []
    waiting, found = [onnx.load(graph, load_external_data=False).graph], []
    while waiting:
        nodes = waiting.pop().node
        found += [node.name for node in nodes if any(word in node.name for word in words)]
        waiting += [one.g for node in nodes for one in node.attribute if one.HasField("g")]
    return found


def _size(graph: Path) -> int:
    beside = graph.with_name(graph.name + "_data")
    return graph.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)
