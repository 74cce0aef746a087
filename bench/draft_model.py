"""What a draft model brings: SmolLM2 guesses for a model that writes the same and is eight times as slow.

No two models of one family can be had for a test, so the slow one is SmolLM2 with seven times its layers added that
change nothing: what they would add is zero. Its draft is right wherever it is certain. The other draft has random
weights: it is never right, and must cost next to nothing.
"""

from __future__ import annotations

import statistics
import tempfile
import tomllib
from pathlib import Path

from _engine import ROOT, THREADS, private_home, smollm2
from _figures import figure, ratio
from _rounds import abba
from quoting_answers import CONTEXT, per_token, write

TIMES = 8
LEAST = {"a draft that is right": 1.0, "a draft that is wrong": 0.97}


def slow_twin(source: Path, path: Path) -> Path:
    """The model of `source` at `path`, TIMES as many layers deep."""
    from gguf import GGUFReader, GGUFWriter

    reader, writer = GGUFReader(source), GGUFWriter(path, "llama")
    for name, field in reader.fields.items():
        if not name.startswith("GGUF.") and name != "general.architecture":
            deeper = TIMES if name == "llama.block_count" else 0
            value = field.contents() * deeper if deeper else field.contents()
            writer.add_key_value(name, value, field.types[0], field.types[-1] if field.types[1:] else None)
    layers = int(reader.fields["llama.block_count"].contents())
    for copy in range(TIMES):
        for tensor in reader.tensors:
            place, _, rest = tensor.name.removeprefix("blk.").partition(".")
            if tensor.name.startswith("blk."):
                adds = rest in ("attn_output.weight", "ffn_down.weight")
                data = tensor.data * 0 if copy and adds else tensor.data
                writer.add_tensor(f"blk.{int(place) + copy * layers}.{rest}", data, raw_dtype=tensor.tensor_type)
            elif not copy:
                writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def measure(name: str, target: Path, draft: Path) -> None:
    """Answers with the draft and without any guesses, in turns."""
    from engine.chosen_draft import ChosenDraft
    from engine.llama.load import LoadSettings
    from engine.resident import Serving, take_in

    prompts = tomllib.loads((ROOT / "bench" / "quoting_prompts.toml").read_text(encoding="utf-8"))["free"][::2]
    settings, asked = LoadSettings(context_size=CONTEXT, threads=THREADS), ChosenDraft("draft", draft, 0)
    resident = take_in("slow", target, settings, Serving(), lambda done: True, asked)
    write(resident, prompts[0], True)  # what steps and guesses cost here is learnt once
    pairs = abba(
        lambda number: write(resident, prompts[number], True),
        lambda number: write(resident, prompts[number], False),
        len(prompts),
    )
    resident.stop()
    resident.close()
    ratios = [per_token(plain) / per_token(ahead) for (_, ahead), (_, plain) in pairs]
    ratio(f"{name}: with / without, tokens/s", statistics.median(ratios), LEAST[name])
    right = sum(ahead.get("guessed_right", 0) for (_, ahead), _ in pairs)
    figure(f"{name}: tokens guessed right", f"{right / sum(ahead['tokens'] for (_, ahead), _ in pairs):.2f}")
    figure(f"{name}: equal texts", f"{sum(ahead == plain for (ahead, _), (plain, _) in pairs)} of {len(pairs)}")


def main() -> None:
    private_home()
    from random_llama import Size
    from random_llama import write as write_random

    with tempfile.TemporaryDirectory() as folder:
        target = slow_twin(smollm2(), Path(folder) / "slow.gguf")
        wrong = write_random(Path(folder) / "wrong.gguf", smollm2(), Size(2, 256, 256, 2, 1))
        measure("a draft that is right", target, smollm2())
        measure("a draft that is wrong", target, wrong)


if __name__ == "__main__":
    main()
