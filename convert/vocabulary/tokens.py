"""Lists of tokens as GGUF has them: texts, kinds, scores; what was added to a tokenizer, and padding up to the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from convert.note import note, spoken
from convert.vocabulary.source import LARGEST_VOCABULARY, Source, bad, content, objects, part
from engine.api.errors import UserError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
ADDED_SCORE = -1000.0
PADDING_SCORE = -10000.0
_SPECIAL_WORDS = ("<pad>", "<mask>", "<2mass>", "[@BOS@]")
_SPECIAL_FORMS = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))
_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass
class Tokens:
    """Tokens by their number; `scores` stay [] where this kind of vocabulary has none."""

    texts: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    @classmethod
    def padding(cls, size: int, scored: bool = True) -> Tokens:
        """As many unused tokens, each with a name of its own."""
        scores = [PADDING_SCORE] * size if scored else []
        return cls([f"[PAD{place}]" for place in range(size)], [UNUSED] * size, scores)

    def put(self, place: int, text: str, kind: int, score: float = ADDED_SCORE) -> None:
        """Replace one."""
        self.texts[place], self.kinds[place] = text, kind
        if self.scores:
            self.scores[place] = score

    def entries(self, model: str, pre: str) -> dict[str, tuple[str, Any]]:
        """The lists as metadata. `pre` "" leaves that entry out."""
        scores: dict[str, tuple[str, Any]] = {"tokenizer.ggml.scores": ("[f32]", self.scores)} if self.scores else {}
        named: dict[str, tuple[str, Any]] = {"tokenizer.ggml.pre": ("str", pre)} if pre else {}
        return {
            "tokenizer.ggml.model": ("str", model),
            **named,
            "tokenizer.ggml.tokens": ("[str]", self.texts),
            **scores,
            "tokenizer.ggml.token_type": ("[i32]", self.kinds),
        }


@dataclass(frozen=True)
class Added:
    """A token that was added to a trained vocabulary."""

    place: int
    text: str
    special: bool
    normalized: bool


def looks_special(text: str) -> bool:
    """Some tokens that control a model are not marked so by their files; llama.cpp's converter knows them by sight."""
    return text in _SPECIAL_WORDS or any(text.startswith(one) and text.endswith(two) for one, two in _SPECIAL_FORMS)


def vocabulary_of(source: Source) -> dict[str, int]:
    """The model's own tokens in tokenizer.json, text to number (BPE, WordPiece). Raises UserError bad_tokenizer."""
    found = source.model.get("vocab")
    if not isinstance(found, dict) or not found:
        raise bad("tokenizer.json", note("holds_no_vocabulary", "it holds no vocabulary"))
    if len(found) > LARGEST_VOCABULARY:
        raise bad("tokenizer.json", note("vocabulary_above_all", "it holds more tokens than any model"))
    for place in found.values():
        _check(place)
    return found


def added_tokens(source: Source, known: dict[str, int]) -> list[Added]:
    """What tokenizer.json adds, then what tokenizer_config.json adds to that, each token once.

    Raises UserError bad_tokenizer.
    """
    found = {each.text: each for each in map(_added, objects(source.fast.get("added_tokens")))}
    for place, token in sorted(_decoder(source)):
        if token.get("content") not in found and isinstance(token.get("content"), str):
            more = _added({**token, "id": known.get(str(token["content"]), place)})
            found[more.text] = more
    for word in special_words(source):
        if word not in found and word in known:  # special only because it is named so
            found[word] = Added(known[word], word, True, False)
    return list(found.values())


def special_words(source: Source) -> set[str]:
    """The texts of bos_token, eos_token … and of additional_special_tokens."""
    settings = source.settings
    if not settings.get("added_tokens_decoder"):
        settings = {**source.json("special_tokens_map.json"), **settings}
    named = [content(settings.get(name)) for name in _NAMED]
    more = settings.get("additional_special_tokens")
    named += [content(each) for each in more] if isinstance(more, list) else []
    return {word for word in named if word}


def _decoder(source: Source) -> Iterable[tuple[int, dict[str, Any]]]:
    for place, token in part(source.settings, "added_tokens_decoder").items():
        if not place.isdecimal() or not isinstance(token, dict):
            raise bad(
                "tokenizer_config.json",
                note("decoder_number", "added_tokens_decoder has the number {place}", place=repr(place[:40])),
            )
        yield int(place), token


def decoder_tokens(source: Source) -> list[tuple[int, dict[str, Any]]]:
    """Numbers and tokens of added_tokens_decoder in tokenizer_config.json, in the file's order."""
    return [(place, token) for place, token in _decoder(source) if isinstance(token.get("content"), str)]


def _added(token: dict[str, Any]) -> Added:
    text = token.get("content")
    if not isinstance(text, str):
        raise bad("tokenizer.json", note("added_without_text", "an added token has no text"))
    special = token.get("special") is True
    normalized = token.get("normalized")
    return Added(_check(token.get("id")), text, special, (not special) if normalized is None else normalized is True)


def _check(place: Any) -> int:
    if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < LARGEST_VOCABULARY:
        raise bad("tokenizer.json", note("token_number", "a token has the number {place}", place=repr(place)))
    return place


def by_place(texts: Iterable[tuple[str, int]]) -> dict[int, str]:
    """Number to text. Raises UserError duplicate_tokens where two texts have one number."""
    found: dict[int, str] = {}
    for text, place in texts:
        if found.setdefault(place, text) != text:
            both = {"one": repr(found[place]), "other": repr(text)}
            raise duplicate(note("one_number_twice", "{one} and {other} are both number {place}", place=place, **both))
    return found


def duplicate(detail: str) -> UserError:
    """llama.cpp aborts on such a vocabulary."""
    return UserError(
        "duplicate_tokens",
        f"The vocabulary of this model contradicts itself: {detail}.",
        "Download the model's tokenizer files again, or ask who made the model to mend them.",
        detail=spoken(detail),
    )


def padded(spare: int) -> tuple[str, ...]:
    """The note that so many tokens have no text; none where there are none."""
    said = note("tokens_padded", "{count} tokens of the model have no text; they are padded", count=spare)
    return (said,) if spare else ()


def too_many(count: int, rows: int) -> UserError:
    """A vocabulary larger than the embedding."""
    return UserError(
        "vocabulary_too_large",
        f"The tokenizer has {count} tokens, but the model only {rows}.",
        "The tokenizer files and the weights are not of one model. Download them together.",
        count=count,
        rows=rows,
    )
