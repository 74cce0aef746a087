"""The importance matrix: how much each input column of a weight matters, as sums of squared activations.

For every matrix product with a weight `blk.*` the inputs' squares are summed column by column, and the rows counted;
for products with experts apart for each expert. The same as llama.cpp's imatrix tool, but for sums in 64 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.llama.hook import F32, Hook, Tensor, operation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.llama.hook import Floats

    Sums = NDArray[np.float64]
    Counts = NDArray[np.int64]

LEAST_ROWS = 16  # as llama.cpp: fewer rows are the last token's own, not a text's
SLAB = 32  # rows squared at once: they stay in the processor's cache
OUTPUT = "output.weight"


class Importance(Hook):
    """`sums` [matrices, columns] and `counts` [matrices or 1] a weight; `broken` names weights with inputs that are no
    numbers any more. Rows that two products share (query, key and value) are squared once. `output`: the head too.
    `whole`: compute every batch to its end, though all that is wanted is known before the head.
    """

    def __init__(self, output: bool = False, whole: bool = False) -> None:
        super().__init__()
        self.sums: dict[str, Sums] = {}
        self.counts: dict[str, Counts] = {}
        self.broken: list[str] = []
        self._output, self._whole = output, whole
        self._dense, self._experts = operation("MUL_MAT"), operation("MUL_MAT_ID")
        self._fresh: dict[tuple[int, ...], tuple[Sums, Counts]] = {}
        self._passed: dict[str, None] = {}  # in order
        self._final = ""  # the weight after which a batch holds nothing more for us

    def begin(self) -> None:
        """A new batch: llama.cpp reuses the addresses of its tensors."""
        self._final = next(reversed(self._passed), "")
        self._fresh.clear()
        self._passed.clear()

    def wants(self, tensor: Tensor) -> bool:
        """Products with weights of blocks; those whose input is squared already are counted here and now."""
        if tensor.op not in (self._dense, self._experts):
            return False
        name = self._weight(tensor)
        if not name:
            return False
        if name in self._passed:
            self.begin()
        self._passed[name] = None
        known = self._fresh.get(self._key(tensor))
        if known:
            self._add(name, *known)
        return known is None

    def take(self, tensor: Tensor) -> bool:
        """Square and sum."""
        found = self._of_experts(tensor) if tensor.op == self._experts else self._of_all(tensor)
        self._fresh[self._key(tensor)] = found
        name = self._weight(tensor)
        self._add(name, *found)
        return self._whole or name != self._final

    def _weight(self, tensor: Tensor) -> str:
        """The weight's name, "" if this product is not looked at."""
        weight, rows = Tensor.from_address(tensor.src[0]), Tensor.from_address(tensor.src[1])
        if rows.type != F32 or (tensor.op == self._dense and rows.ne[1] < LEAST_ROWS):
            return ""
        name = weight.name.decode("utf-8", "replace")
        if "#" in name:  # a copy on a card: CUDA0#blk.0.attn_k.weight#0
            name = name.split("#")[1]
        return name if name.startswith("blk.") or (self._output and name == OUTPUT) else ""

    def _key(self, tensor: Tensor) -> tuple[int, ...]:
        weight = Tensor.from_address(tensor.src[0])
        return (tensor.src[1], tensor.src[2] or 0, *weight.ne[2:])

    def _of_all(self, tensor: Tensor) -> tuple[Sums, Counts]:
        import numpy as np

        weight = Tensor.from_address(tensor.src[0])
        inputs = self.floats(Tensor.from_address(tensor.src[1]))
        matrices = weight.ne[2] * weight.ne[3]
        sums = np.zeros((matrices, inputs.shape[3]))
        for outer, blocks in enumerate(inputs):
            for inner, rows in enumerate(blocks):
                sums[outer % weight.ne[3] * weight.ne[2] + inner % weight.ne[2]] += squares(rows)
        return sums, np.array([inputs.size // inputs.shape[3] // matrices], np.int64)

    def _of_experts(self, tensor: Tensor) -> tuple[Sums, Counts]:
        import numpy as np

        experts = Tensor.from_address(tensor.src[0]).ne[2]
        inputs = self.floats(Tensor.from_address(tensor.src[1]))[0]  # tokens, slots or 1, columns
        chosen = self.numbers(Tensor.from_address(tensor.src[2]))[0, 0]  # tokens, slots
        sums, counts = np.zeros((experts, inputs.shape[2])), np.bincount(chosen.ravel(), minlength=experts)
        for expert in np.flatnonzero(counts):
            tokens, slots = np.nonzero(chosen == expert)
            sums[expert] = squares(inputs[tokens, slots % inputs.shape[1]])
        return sums, counts.astype(np.int64)

    def _add(self, name: str, sums: Sums, counts: Counts) -> None:
        import numpy as np

        if not np.isfinite(sums).all():
            self.broken.append(name)
        elif name in self.sums:
            self.sums[name] += sums
            self.counts[name] += counts
        else:
            self.sums[name], self.counts[name] = sums.copy(), counts.copy()


def squares(rows: Floats) -> Sums:
    """The sum of squares of each column, [columns]."""
    import numpy as np

    total = np.zeros(rows.shape[1])
    space = np.empty((min(SLAB, len(rows)), rows.shape[1]), np.float32)
    for start in range(0, len(rows), SLAB):
        slab = rows[start : start + SLAB]
        total += np.add.reduce(np.square(slab, out=space[: len(slab)]), axis=0)
    return total
