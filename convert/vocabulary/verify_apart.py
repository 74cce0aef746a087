"""Verifying in a process of its own: llama.cpp ends the whole process at some vocabularies, and what was read of a
large one takes memory that a conversion need not keep.

`python -m convert.vocabulary.verify_apart FOLDER GGUF` prints one JSON object: {"agreement": …} or {"error": …}.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from convert.config import read_config
from convert.families import family_of
from convert.vocabulary.reading import read
from convert.vocabulary.verify import Agreement, verify
from engine.api.errors import UserError

MOST_S = 300


def verified(folder: Path, gguf: Path, tokens: int) -> Agreement:
    """See `verify`; `tokens`: how many the vocabulary has. Raises UserError vocabulary_crashed, those of `verify`."""
    command = [sys.executable, "-m", "convert.vocabulary.verify_apart", str(folder), str(gguf)]
    done = subprocess.run(command, capture_output=True, timeout=MOST_S, check=False)
    try:
        said = json.loads(done.stdout.decode("utf-8").splitlines()[-1])
    except (ValueError, IndexError):
        raise UserError(
            "vocabulary_crashed",
            f"llama.cpp gave up on this vocabulary of {tokens} tokens.",
            "The tokenizer files do not belong to this model, or are damaged. Download them again.",
            tokens=tokens,
        ) from None
    if "error" in said:
        raise UserError.from_json(said["error"])
    return Agreement.from_json(said["agreement"])


def main() -> int:
    """Do it, and say it in JSON."""
    folder, gguf = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        config = read_config(folder)
        found = family_of(config)
        kinds = found[1].vocabulary if found else ()
        config = found[1].adjust(config) if found else config
        agreement = verify(read(folder, config, kinds), folder, gguf, config)
        print(json.dumps({"agreement": agreement.to_json() | {"needed": agreement.needed}}))
    except UserError as error:
        print(json.dumps({"error": error.to_json()}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
