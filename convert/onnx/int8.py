"""Dynamic 8-bit quantization by onnxruntime: weights of products a column, activations as they come."""

from __future__ import annotations

from pathlib import Path

TRAIL = "_quantized"
LARGE = 1_800_000_000  # bytes: a protobuf file holds 2 GiB at most


def quantize(graph: Path, reduced: bool) -> Path:
    """Write NAME_quantized.onnx beside NAME.onnx. `reduced`: weights of 7 bits, for processors where 8 overflow."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = graph.with_name(f"{graph.stem}{TRAIL}.onnx")
    quantize_dynamic(
        graph,
        made,
        op_types_to_quantize=["MatMul", "Gemm", "Attention"],
        per_channel=True,
        reduce_range=reduced,
        weight_type=QuantType.QInt8,
        use_external_data_format=_size(graph) > 3 * LARGE,
        # A merged decoder keeps its work in branches; a product of two activations is no weight.
        extra_options={"EnableSubgraph": True, "MatMulConstBOnly": True},
    )
    return made


def _size(graph: Path) -> int:
    beside = graph.with_name(graph.name + "_data")
    return graph.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)
