"""Our ids against llama.cpp's on about a thousand lines. What differs is shown, and stops a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.note import again, note, told
from convert.vocabulary.original import Original, written_tokens
from convert.vocabulary.reading import Vocabulary
from convert.vocabulary.sample import APART, sample
from convert.vocabulary.source import Settings
from convert.vocabulary.tokens import CONTROL
from engine.api.errors import UserError

MOST_SHOWN = 20
MOST_SPECIAL = 24
ENOUGH = 0.99  # of the lines: libraries' tables of letters are of different years
# llama.cpp drops marks and parts of Korean syllables that BERT keeps; nothing in a file can change that.
ENOUGH_OF_KIND = {"wordpiece": 0.95}


@dataclass(frozen=True)
class Agreement:
    """`lines` tried, `equal` of them; `differing`: text, the source's ids, llama.cpp's ids; `notes` of its own."""

    lines: int
    equal: int
    differing: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    notes: tuple[str, ...] = ()
    needed: float = ENOUGH

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.equal / self.lines if self.lines else 1.0

    @property
    def enough(self) -> bool:
        """Whether a conversion may go on without being told to."""
        return self.share >= self.needed

    def to_json(self) -> dict[str, Any]:
        """For reports and results of jobs."""
        shown = [{"text": text, "source": list(ours), "llama": list(theirs)} for text, ours, theirs in self.differing]
        return {"lines": self.lines, "equal": self.equal, "differing": shown, "notes": told(self.notes)}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Agreement:
        """What `to_json` gave, with "needed" beside it."""
        differing = tuple((one["text"], tuple(one["source"]), tuple(one["llama"])) for one in said["differing"])
        return cls(
            said["lines"], said["equal"], differing, tuple(again(each) for each in said["notes"]), said["needed"]
        )


def verify(vocabulary: Vocabulary, folder: Path, gguf: Path, config: Settings | None = None) -> Agreement:
    """Compare the tokenizer in `folder` with llama.cpp's reading of `gguf`, a whole model or only a vocabulary.

    Raises UserError vocabulary_not_loaded, bad_tokenizer.
    """
    from engine.llama.vocabulary import VocabularyOnly

    if vocabulary.kind == "none":
        return Agreement(0, 0)
    original = Original(vocabulary, folder, config or _Nothing())
    with VocabularyOnly(gguf) as words:
        found = [
            (text, tuple(original.encode(text)), tuple(words.tokenize(text, special=original.special)))
            for text in _lines(vocabulary, original.special)
        ]
        notes = (*_around(original, words), *_apart(original, words))
    apart = [each for each in found if each[1] != each[2]]
    needed = ENOUGH_OF_KIND.get(vocabulary.kind, ENOUGH)
    return Agreement(len(found), len(found) - len(apart), tuple(apart[:MOST_SHOWN]), notes, needed)


def require(agreement: Agreement, override: bool = False) -> None:
    """Raises UserError vocabulary_disagrees where too many lines differ, unless a person wants it so."""
    if agreement.enough or override:
        return
    text = agreement.differing[0][0] if agreement.differing else ""
    raise UserError(
        "vocabulary_disagrees",
        f"llama.cpp cuts {agreement.lines - agreement.equal} of {agreement.lines} lines otherwise than this model's "
        f"own tokenizer, for example {text[:60]!r}.",
        "The model would answer worse. Allow a vocabulary that differs if you want it nevertheless.",
        different=agreement.lines - agreement.equal,
        lines=agreement.lines,
        line=text[:60],
    )


def write_alone(vocabulary: Vocabulary, path: Path) -> None:
    """A GGUF file of nothing but this vocabulary, to be verified before anything is converted."""
    from convert.gguf_file import header_bytes

    path.write_bytes(header_bytes({"general.architecture": ("str", "llama"), **vocabulary.entries}, []))


class _Nothing:
    def get(self, *names: str, default: Any = None) -> Any:
        """No config is needed to run a tokenizer."""
        return default


def _lines(vocabulary: Vocabulary, special: bool) -> list[str]:
    if special:
        return [*sample(), *_chats(vocabulary)]
    written = written_tokens(vocabulary.entries)
    return [line for line in sample() if not (written and written.search(line))]


def _chats(vocabulary: Vocabulary) -> list[str]:
    """Texts with the vocabulary's own special tokens in them."""
    entries = vocabulary.entries
    texts, kinds = entries["tokenizer.ggml.tokens"][1], entries["tokenizer.ggml.token_type"][1]
    named = [text for text, kind in zip(texts, kinds, strict=True) if kind == CONTROL and text.strip() == text]
    chosen = named[:: max(1, len(named) // MOST_SPECIAL)][:MOST_SPECIAL]
    return [f"{text}user\nHello, wörld!{text}\n{other}42" for text, other in zip(chosen, reversed(chosen), strict=True)]


def _apart(original: Original, words: Any) -> tuple[str, ...]:
    """Many tokenizers join letters and accents (NFC) before they cut; llama.cpp never does."""
    equal = all(original.encode(text) == words.tokenize(text, special=original.special) for text in APART)
    return (
        ()
        if equal
        else (
            note("accents_apart", "texts whose accents stand apart from their letters are cut otherwise by llama.cpp"),
        )
    )


def _around(original: Original, words: Any) -> tuple[str, ...]:
    """Does llama.cpp put the same tokens around a text?"""
    ours = original.around("Hello world")
    theirs = words.tokenize("Hello world", special=True, around=True)
    if ours is None or list(ours) == theirs:
        return ()
    return (
        note(
            "around_otherwise",
            "around a text the tokenizer puts {ours}, llama.cpp {theirs}",
            ours=list(ours),
            theirs=theirs,
        ),
    )
