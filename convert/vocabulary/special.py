"""Special tokens, what is added around a text, chat templates: what the files say, read as llama.cpp's converter does.

Ids come from tokenizer_config.json's words, looked up among the added tokens, then from config.json's numbers.
"""

from __future__ import annotations

from pathlib import Path
from string import ascii_letters, digits
from typing import Any

from convert.note import note
from convert.vocabulary.source import Source, bad, content, objects, part

NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_KEYS = {"unk": "unknown", "sep": "seperator", "pad": "padding"}  # the second is misspelled in llama.cpp, too
_WRITTEN = ("bos", "eos", "unk", "sep", "pad", "mask", "eot", "eom")
MOST_TEMPLATES = 64
LARGEST_TEMPLATE = 2**20


class Special:
    """What tokenizer.json, tokenizer_config.json and config.json say together.

    `ids` by name (bos, eos, unk, sep, pad, cls, mask, eot, eom); `adds`: whether bos, eos, sep are put around a text.
    """

    def __init__(self, source: Source, size: int | None = None) -> None:
        self.ids: dict[str, int] = {}
        self.adds: dict[str, bool] = {}
        self.normalizer: dict[str, bool] = {}
        self._size, self._source = size, source
        self._words = dict(source.settings)
        self._names: tuple[str, ...] = NAMES
        if source.fast:
            self._normalizer(source.fast.get("normalizer"))
            self._around()
        if source.settings:
            self._from_words()
        self._from_config()
        self.templates = _templates(source) if source.settings else None

    def set(self, name: str, place: Any) -> None:
        """Set an id that no file named before; one out of range is left out. Raises UserError bad_tokenizer."""
        if isinstance(place, bool) or not isinstance(place, int):
            return
        if place < 0:
            if name == "pad":  # some models write -1 for "none"
                return
            raise bad("config.json", note("no_token_id", "{name}_token_id is {place}", name=name, place=str(place)))
        if self._size is None or place < self._size:
            self.ids.setdefault(name, place)

    def entries(self) -> dict[str, tuple[str, Any]]:
        """All of it as GGUF metadata."""
        found: dict[str, tuple[str, Any]] = {
            f"tokenizer.ggml.{_KEYS.get(name, name)}_token_id": ("u32", place)
            for name, place in self.ids.items()
            if name in _WRITTEN
        }
        found |= {f"tokenizer.ggml.add_{name}_token": ("bool", value) for name, value in self.adds.items()}
        found |= {f"tokenizer.ggml.normalizer.{name}": ("bool", value) for name, value in self.normalizer.items()}
        return found | template_entries(self.templates)

    def _normalizer(self, normalizer: Any) -> None:
        for each in [normalizer] if isinstance(normalizer, dict) else objects(normalizer):
            if each.get("type") == "Lowercase":
                self.normalizer["lowercase"] = True
            elif each.get("type") == "StripAccents":
                self.normalizer["strip_accents"] = True
            elif each.get("type") == "BertNormalizer":
                flags = {name: each.get(name) for name in ("lowercase", "strip_accents")}
                self.normalizer |= {name: value for name, value in flags.items() if isinstance(value, bool)}
            elif each.get("type") == "Sequence":
                self._normalizer(each.get("normalizers"))

    def _around(self) -> None:
        """What the post-processor puts around a text. A word that stands in only one of two places stands for both."""
        for one, other in (("bos", "cls"), ("eos", "sep")):
            if not self._words.get(f"{one}_token") and self._words.get(f"{other}_token"):
                self._words[f"{one}_token"] = self._words[f"{other}_token"]
        processor = part(self._source.fast, "post_processor")
        for each in objects(processor.get("processors", [processor])):
            if each.get("type") == "ByteLevel":
                self.adds.setdefault("bos", False)
                self.adds.setdefault("eos", False)
            elif each.get("type") == "RobertaProcessing":
                self._roberta(each)
            elif each.get("type") == "TemplateProcessing":
                self._template(each)

    def _roberta(self, processor: dict[str, Any]) -> None:
        self.adds |= {"bos": True, "eos": True, "sep": True}
        for name, usual in (("cls", "bos"), ("sep", "eos")):
            if not self._words.get(f"{name}_token"):
                given = processor.get(name)
                word = given[0] if isinstance(given, list) and given else self._words.get(f"{usual}_token")
                self._words[f"{name}_token"] = word

    def _template(self, processor: dict[str, Any]) -> None:
        single = objects(processor.get("single"))
        first = _word(single[0]) if len(single) > 1 else None
        last = _word(single[-1]) if len(single) > 1 else None
        if first:
            self._begin(first)
        if last:
            self._end(last)
        self._between(objects(processor.get("pair")), first, last)

    def _text(self, name: str) -> str | None:
        return content(self._words.get(f"{name}_token"))

    def _begin(self, word: str) -> None:
        known = (self._text("bos"), self._text("cls"))
        for name, text in zip(("bos", "cls"), known, strict=True):
            if word not in known and not text:
                self._words[f"{name}_token"] = word
        self.adds["bos"] = word in (self._text("bos"), self._text("cls"))

    def _end(self, word: str) -> None:
        """A text that ends with another token than EOS: that one becomes EOS, the old one ends a turn."""
        old = self._words.get("eos_token")
        if self._source.settings and word != self._text("eos"):
            for name in ("eot", "eom"):
                if name not in self._names:
                    self._names += (name,)
                    self._words[f"{name}_token"] = old
                    break
            self._words["eos_token"] = word
        self.adds["eos"] = True

    def _between(self, pair: list[dict[str, Any]], first: str | None, last: str | None) -> None:
        """Whether pairs of texts get a separator."""
        begin = 1 if pair and first and _word(pair[0]) == first else 0
        inner = pair[begin : -1 if pair and last and _word(pair[-1]) == last else None]
        if len(inner) < 3 or _sequence(inner[0]) != "A" or _sequence(inner[-1]) != "B":
            return
        middle, ends = inner[1:-1], (self._text("sep"), self._text("eos"))
        adds = _word(middle[0]) in ends and not last if _word(middle[0]) else False
        adds = adds or (len(middle) == 2 and _word(middle[1]) is not None and _word(middle[1]) in ends)
        self.adds["sep"] = adds
        if adds and not self._words.get("sep_token"):
            self._words["sep_token"] = self._words.get("eos_token")

    def _from_words(self) -> None:
        added = objects(self._source.fast.get("added_tokens"))
        for name in self._names:
            adds = self._source.settings.get(f"add_{name}_token")
            if isinstance(adds, bool):
                self.adds.setdefault(name, adds)
            word = self._text(name)
            if word is not None:
                self.set(name, next((each.get("id") for each in added if each.get("content") == word), None))

    def _from_config(self) -> None:
        for name in self._names:
            self.set(name, self._source.config.get(f"{name}_token_id"))


def _word(step: dict[str, Any]) -> str | None:
    found = part(step, "SpecialToken").get("id")
    return found if isinstance(found, str) else None


def _sequence(step: dict[str, Any]) -> str | None:
    found = part(step, "Sequence").get("id")
    return found if isinstance(found, str) else None


def _templates(source: Source) -> str | list[dict[str, Any]] | None:
    """The chat template, or the named ones; those in files of their own where the settings hold none."""
    own = source.settings.get("chat_template")
    found = own if own is not None else _in_files(source)
    return found if isinstance(found, str | list) else None


def _in_files(source: Source) -> Any:
    alone = source.folder / "chat_template.jinja"
    if not alone.is_file():
        return source.json("chat_template.json").get("chat_template")
    more = sorted((source.folder / "additional_chat_templates").glob("*.jinja"))[:MOST_TEMPLATES]
    main = _read(alone)
    if not more:
        return main
    return [{"name": "default", "template": main}, *({"name": path.stem, "template": _read(path)} for path in more)]


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_TEMPLATE:
            raise bad(path.name, note("template_too_large", "it is larger than any template"))
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise bad(path.name, str(error)) from None


def template_entries(templates: str | list[dict[str, Any]] | None) -> dict[str, tuple[str, Any]]:
    """The chat template's entry; named ones get an entry each, and one that lists them."""
    if templates is None or isinstance(templates, str):
        return {"tokenizer.chat_template": ("str", templates)} if templates is not None else {}
    named = {_plain_name(each.get("name")): each.get("template") for each in objects(templates)[:MOST_TEMPLATES]}
    texts = {name: text for name, text in named.items() if name and isinstance(text, str)}
    others = [name for name in texts if name != "default"]
    found: dict[str, tuple[str, Any]] = {f"tokenizer.chat_template.{name}": ("str", texts[name]) for name in others}
    if others:
        found["tokenizer.chat_templates"] = ("[str]", others)
    if "default" in texts:
        found["tokenizer.chat_template"] = ("str", texts["default"])
    return found


def _plain_name(name: Any) -> str:
    return "".join(c if c in ascii_letters + digits else "_" for c in str(name or ""))
