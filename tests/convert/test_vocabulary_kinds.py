"""Kinds of tokenizer files that llama.cpp ships no example of, cut from those it ships."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import vocabulary_folders as small
import vocabulary_kit as kit

from convert.vocabulary import Vocabulary, read, to_huggingface, verify, write_alone
from convert.vocabulary import sentencepiece_file as spm
from convert.vocabulary.byte_text import bytes_of
from engine.llama.vocabulary import VocabularyOnly

END = {"eos_token_id": 1}


def agreed(found: Vocabulary, folder: Path, apart: float = 0.0) -> None:
    """The source and llama.cpp cut all lines alike, but for a share."""
    file = folder.parent / "words.gguf"
    write_alone(found, file)
    agreement = verify(found, folder, file)
    assert agreement.lines > 900
    assert agreement.share >= 1 - apart, agreement.differing[:3]


def test_a_tiktoken_file_has_the_merges_that_made_it(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "qwen", settings={})
    small.ranks_file(folder / "qwen.tiktoken")
    found = read(folder, small.config(vocab_size=3300), ("tiktoken",))
    wanted = kit.shipped("gpt-2")["tokenizer.ggml.merges"][1][: small.SIZE - 256]
    assert found.entries["tokenizer.ggml.merges"] == ("[str]", wanted)
    tokens = found.entries["tokenizer.ggml.tokens"][1]
    assert tokens[3000:3003] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert tokens[3208:3210] == ["[PAD3208]", "[PAD3209]"]
    assert {name: found.entries[f"tokenizer.ggml.{name}_token_id"][1] for name in ("bos", "eos", "unknown")} == {
        "bos": 3000,
        "eos": 3000,
        "unknown": 3000,
    }
    assert (found.kind, found.pre, found.size) == ("tiktoken", "qwen2", 3300)
    agreed(found, folder)


def test_kimis_tiktoken_file_has_reserved_tokens_and_names_from_its_settings(tmp_path: Path) -> None:
    named = {"3001": {"content": "[EOS]", "special": True}, "3002": {"content": "<|im_end|>", "special": True}}
    folder = small.write(tmp_path / "kimi", settings={"added_tokens_decoder": named})
    small.ranks_file(folder / "tiktoken.model")
    found = read(folder, small.config(vocab_size=3256, eos_token_id=3002), ("bpe", "tiktoken"))
    tokens = found.entries["tokenizer.ggml.tokens"][1]
    assert tokens[3000:3004] == ["<|reserved_token_3000|>", "[EOS]", "<|im_end|>", "<|reserved_token_3003|>"]
    assert found.entries["tokenizer.ggml.token_type"][1][3000:] == [3] * 256
    assert found.pre == "kimi-k2"
    agreed(found, folder, apart=0.01)


def tekken(size: int = small.SIZE) -> dict[str, Any]:
    raws = sorted(bytes_of(word) or b"" for word in small.gpt2_words(256))
    raws += [bytes_of(word) or b"" for word in small.gpt2_words(size)[256:]]
    return {
        "config": {
            "pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            "default_vocab_size": size + 20,
            "default_num_special_tokens": 20,
        },
        "vocab": [{"rank": i, "token_bytes": b64encode(raw).decode()} for i, raw in enumerate(raws)],
    }


def test_tekken_puts_special_tokens_in_front_and_lists_all_ways_to_join(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "mistral")
    (folder / "tekken.json").write_text(json.dumps(tekken()), encoding="utf-8")
    found = read(folder, small.config(vocab_size=small.SIZE + 20), ("spm", "llama_hf", "bpe"))
    tokens = found.entries["tokenizer.ggml.tokens"][1]
    assert tokens[:4] == ["<unk>", "<s>", "</s>", "[INST]"]
    assert len(tokens) == small.SIZE + 20 == found.size
    assert found.entries["tokenizer.ggml.padding_token_id"] == ("u32", 11)
    merges = found.entries["tokenizer.ggml.merges"][1]
    assert set(kit.shipped("gpt-2")["tokenizer.ggml.merges"][1][: small.SIZE - 256]) <= set(merges)
    write_alone(found, tmp_path / "words.gguf")
    with VocabularyOnly(tmp_path / "words.gguf") as words:
        ids = words.tokenize("the one", around=True)
    assert [tokens[each] for each in ids] == ["<s>", "the", "Ġone"]


def llama2_json(vocab: str = "llama-spm") -> dict[str, Any]:
    """LLaMA 2's tokenizer.json as transformers makes it of tokenizer.model: merges in the scores' order."""
    entries = kit.shipped(vocab)
    texts, kinds = entries["tokenizer.ggml.tokens"][1], entries["tokenizer.ggml.token_type"][1]
    places = {text: place for place, text in enumerate(texts)}
    merges = []
    scores = entries["tokenizer.ggml.scores"][1]
    for place in sorted(range(len(texts)), key=lambda each: -scores[each]):
        text = texts[place]
        if kinds[place] == 1:
            pairs = [(text[:i], text[i:]) for i in range(1, len(text))]
            known = [pair for pair in pairs if pair[0] in places and pair[1] in places]
            merges += sorted(known, key=lambda pair: (places[pair[0]], places[pair[1]]))
    added = [{"id": i, "content": texts[i], "special": True, "normalized": False} for i in range(3)]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    shown = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    return {
        "version": "1.0",
        "added_tokens": [each | flags for each in added],
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]},
        "decoder": {"type": "Sequence", "decoders": [shown, {"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "unk_token": "<unk>",
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": places,
            "merges": [list(pair) for pair in merges],
        },
    }


def test_merges_give_the_scores_that_a_missing_tokenizer_model_would_have(tmp_path: Path) -> None:
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "LlamaTokenizer"}
    folder = small.write(tmp_path / "llama2", llama2_json(), settings)
    found = read(folder, small.config(vocab_size=32064, model_type="llama"), ("spm", "llama_hf", "bpe"))
    assert (found.kind, found.size) == ("llama_hf", 32064)
    assert found.entries["tokenizer.ggml.token_type"][1][:4] == [3, 3, 3, 6]
    write_alone(found, tmp_path / "words.gguf")
    with VocabularyOnly(tmp_path / "words.gguf") as words:
        assert [text for text, ids in kit.cases("llama-spm") if words.tokenize(text) != ids] == []
    # upstream gives all tokens one score, and llama.cpp then joins from the left
    found.entries["tokenizer.ggml.scores"] = ("[f32]", [-1000.0] * found.size)
    write_alone(found, tmp_path / "one_score.gguf")
    with VocabularyOnly(tmp_path / "one_score.gguf") as words:
        assert [text for text, ids in kit.cases("llama-spm") if words.tokenize(text) != ids]


def unigram_file(path: Path, *, t5: bool) -> list[str]:
    """A Unigram model of a few hundred pieces."""
    special = [("<pad>", 3), ("</s>", 3), ("<unk>", 2)] if t5 else [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
    words = ["▁", *"abcdefghijklmnopqrstuvwxyz", "▁the", "▁one", "ing", "▁th", "er", "▁a", "an", "on"]
    pieces = [spm.Piece(text, 0.0, kind) for text, kind in special]
    pieces += [spm.Piece(text, -2.0 - place * 0.11, 1) for place, text in enumerate(words)]
    spm.write(path, spm.SentencePieceFile(tuple(pieces), spm.UNIGRAM, True, True))
    return [piece.text for piece in pieces]


def test_t5s_pieces_keep_their_places_and_rows_without_text_are_padded(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "t5", settings={})
    pieces = unigram_file(folder / "spiece.model", t5=True)
    found = read(folder, small.config(vocab_size=64, d_kv=8, model_type="t5", **END), ("unigram", "spm"))
    tokens = found.entries["tokenizer.ggml.tokens"][1]
    assert tokens[: len(pieces)] == pieces
    assert tokens[len(pieces)] == f"[PAD{len(pieces)}]"
    assert found.entries["tokenizer.ggml.model"] == ("str", "t5")
    assert "tokenizer.ggml.token_type_count" not in found.entries
    write_alone(found, tmp_path / "words.gguf")
    with VocabularyOnly(tmp_path / "words.gguf") as words:
        ids = words.tokenize("the one  the", around=True)
    assert [tokens[each] for each in ids] == ["▁the", "▁one", "▁the", "</s>"]


def test_xlm_robertas_pieces_move_one_place_for_fairseqs_own(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "xlmr", settings={})
    pieces = unigram_file(folder / "sentencepiece.bpe.model", t5=False)
    values = {"vocab_size": 64, "type_vocab_size": 1, "bos_token_id": 0, "eos_token_id": 2, "unk_token_id": 3}
    found = read(folder, small.config(**values), ("unigram",))
    tokens = found.entries["tokenizer.ggml.tokens"][1]
    assert tokens[:5] == ["<s>", "<pad>", "</s>", "<unk>", "▁"]
    assert tokens[4 : len(pieces) + 1] == pieces[3:]
    assert found.entries["tokenizer.ggml.token_type_count"] == ("u32", 1)
    agreed(found, folder, apart=0.05)


def spm_file(path: Path, extra: list[spm.Piece] | None = None, count: int = 2000) -> None:
    """LLaMA's first pieces."""
    entries = kit.shipped("llama-spm")
    texts, scores, kinds = (entries[f"tokenizer.ggml.{name}"][1][:count] for name in ("tokens", "scores", "token_type"))
    pieces = [spm.Piece(*each) for each in zip(texts, scores, kinds, strict=True)]
    spm.write(path, spm.SentencePieceFile((*pieces, *(extra or [])), spm.BPE, True, False))


def test_chatglm_3_has_special_tokens_behind_its_pieces(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "glm", settings={})
    spm_file(folder / "tokenizer.model")
    found = read(folder, small.config(model_type="chatglm", padded_vocab_size=2048, eos_token_id=2), ("spm",))
    tokens, kinds = (found.entries[f"tokenizer.ggml.{name}"][1] for name in ("tokens", "token_type"))
    assert tokens[:3] == ["<unk>", "<bos>", "<eos>"]
    assert tokens[2000:2010] == [
        *("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop"),
        *("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", "[PAD2009]"),
    ]
    assert kinds[2000:2010] == [3] * 9 + [5]
    assert found.pre == "chatglm-spm"


def test_internlm_2_stops_at_the_end_of_a_turn_and_has_no_zero_byte(tmp_path: Path) -> None:
    named = {"2002": {"content": "<|im_end|>", "special": True}}
    folder = small.write(tmp_path / "internlm", settings={"added_tokens_decoder": named})
    spm_file(folder / "tokenizer.model", [spm.Piece("\0", -1.0, 1), spm.Piece("[UNUSED_TOKEN_1]", 0.0, 1)])
    found = read(folder, small.config(model_type="internlm2", vocab_size=2003, eos_token_id=2), ("spm",))
    assert found.entries["tokenizer.ggml.tokens"][1][2000] == "🐉"
    assert found.entries["tokenizer.ggml.token_type"][1][2000:] == [1, 5, 3]
    assert found.entries["tokenizer.ggml.eos_token_id"] == ("u32", 2002)
    assert found.entries["tokenizer.ggml.add_space_prefix"] == ("bool", True)


def test_gemma_puts_no_space_in_front_and_llama_only_where_its_settings_say(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "spm", settings={"add_prefix_space": True})
    spm_file(folder / "tokenizer.model")
    key = "tokenizer.ggml.add_space_prefix"
    said = {
        kind: read(folder, small.config(model_type=kind, vocab_size=2000, eos_token_id=2), ("spm",)).entries.get(key)
        for kind in ("gemma2", "llama", "baichuan")
    }
    assert said == {"gemma2": ("bool", False), "llama": ("bool", True), "baichuan": None}


def test_a_kind_without_files_of_its_own_is_refused_on_the_way_back(tmp_path: Path) -> None:
    from engine.api.errors import UserError

    with pytest.raises(UserError) as caught:
        to_huggingface({"tokenizer.ggml.model": ("str", "rwkv")}, tmp_path)
    assert caught.value.code == "tokenizer_without_files"
    assert not list(tmp_path.iterdir())
