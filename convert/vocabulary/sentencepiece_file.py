"""A SentencePiece model file (tokenizer.model, spiece.model, sentencepiece.bpe.model), read and written.

It is one protobuf message; the field numbers are those of google/sentencepiece's sentencepiece_model.proto. Only what
GGUF has a place for is read, so that a file from anywhere meets a few lines of ours and no code of a library.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convert.note import note

UNIGRAM, BPE = 1, 2
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_VARINT, _EIGHT, _BLOCK, _FOUR = 0, 1, 2, 5
_LONGEST_VARINT = 10


@dataclass(frozen=True)
class Piece:
    """One piece; `kind` counts as SentencePiece and llama.cpp both do: 1 normal … 6 byte."""

    text: str
    score: float
    kind: int


@dataclass(frozen=True)
class SentencePieceFile:
    """What a model file says. `charsmap`: the normalizer's table, b"" for none."""

    pieces: tuple[Piece, ...]
    algorithm: int
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    charsmap: bytes = b""


def read(path: Path) -> SentencePieceFile:
    """Raises ValueError for whatever is no such file, OSError if it cannot be read."""
    pieces: list[Piece] = []
    algorithm, normalizer = UNIGRAM, b""
    for field, value in _fields(path.read_bytes()):
        if field == 1 and isinstance(value, bytes):
            pieces.append(_piece(value))
        elif field == 2 and isinstance(value, bytes):
            algorithm = _number(dict(_fields(value)).get(3), UNIGRAM)
        elif field == 3 and isinstance(value, bytes):
            normalizer = value
    if not pieces:
        raise ValueError(note("no_pieces", "it holds no pieces"))
    return SentencePieceFile(tuple(pieces), algorithm, *_normalizer(normalizer))


def write(path: Path, model: SentencePieceFile) -> None:
    """The inverse of `read`. Byte pieces switch the falling back to bytes on."""
    parts = [_block(1, _block(1, p.text.encode()) + _float(2, p.score) + _varint(3, p.kind)) for p in model.pieces]
    unknown = next((i for i, piece in enumerate(model.pieces) if piece.kind == UNKNOWN), 0)
    bytes_too = any(piece.kind == BYTE for piece in model.pieces)
    trained = _varint(3, model.algorithm) + _varint(4, len(model.pieces)) + _varint(35, int(bytes_too))
    parts.append(_block(2, trained + _varint(40, unknown) + _special_ids(model)))
    parts.append(_block(3, _written_normalizer(model)))
    path.write_bytes(b"".join(parts))


def _special_ids(model: SentencePieceFile) -> bytes:
    places = {piece.text: i for i, piece in enumerate(model.pieces) if piece.kind == CONTROL}
    names = ((41, ("<s>", "<bos>")), (42, ("</s>", "<eos>")), (43, ("<pad>",)))
    found = ((field, next((places[name] for name in wanted if name in places), -1)) for field, wanted in names)
    return b"".join(_varint(field, place) for field, place in found)


def _written_normalizer(model: SentencePieceFile) -> bytes:
    flags = _varint(3, int(model.add_dummy_prefix)) + _varint(4, int(model.remove_extra_whitespaces)) + _varint(5, 1)
    return _block(1, b"nmt_nfkc" if model.charsmap else b"identity") + _block(2, model.charsmap) + flags


def _piece(raw: bytes) -> Piece:
    values = dict(_fields(raw))
    text, score = values.get(1, b""), values.get(2, 0.0)
    if not isinstance(text, bytes) or not isinstance(score, float):
        raise ValueError(note("piece_damaged", "a piece is damaged"))
    kind = _number(values.get(3), NORMAL)
    if not NORMAL <= kind <= BYTE:
        raise ValueError(note("piece_of_no_kind", "a piece is of the unknown kind {kind}", kind=str(kind)))
    return Piece(text.decode("utf-8"), score, kind)


def _normalizer(raw: bytes) -> tuple[bool, bool, bytes]:
    values = dict(_fields(raw))
    charsmap = values.get(2, b"")
    table = charsmap if isinstance(charsmap, bytes) else b""
    return bool(_number(values.get(3), 1)), bool(_number(values.get(4), 1)), table


def _number(value: bytes | int | float | None, usual: int) -> int:
    return value if isinstance(value, int) else usual


def _fields(raw: bytes) -> Iterator[tuple[int, bytes | int | float]]:
    """Number and value of each field, in the file's order."""
    at = 0
    while at < len(raw):
        key, at = _read_varint(raw, at)
        form = key & 7
        size, at = _read_varint(raw, at) if form == _BLOCK else ({_EIGHT: 8, _FOUR: 4}.get(form, 0), at)
        if form not in (_VARINT, _EIGHT, _BLOCK, _FOUR) or at + size > len(raw):
            raise ValueError(note("short_or_no_sentencepiece", "it is cut short or no SentencePiece model"))
        if form == _VARINT:
            value, at = _read_varint(raw, at)
            yield key >> 3, value
        else:
            part = raw[at : at + size]
            yield key >> 3, struct.unpack("<f", part)[0] if form == _FOUR else part
            at += size


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(_LONGEST_VARINT):
        if at + place >= len(raw):
            raise ValueError(note("cut_short", "it is cut short"))
        value |= (raw[at + place] & 127) << (7 * place)
        if raw[at + place] < 128:
            return value, at + place + 1
    raise ValueError(note("no_sentencepiece", "it is no SentencePiece model"))


def _plain_varint(value: int) -> bytes:
    made, value = bytearray(), value & (2**64 - 1)
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _varint(field: int, value: int) -> bytes:
    return _plain_varint(field << 3) + _plain_varint(value)


def _float(field: int, value: float) -> bytes:
    return _plain_varint(field << 3 | _FOUR) + struct.pack("<f", value)


def _block(field: int, value: bytes) -> bytes:
    return _plain_varint(field << 3 | _BLOCK) + _plain_varint(len(value)) + value
