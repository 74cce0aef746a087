"""One mail (RFC 5322, MIME) as blocks: subject, who and when, the body, attachments."""

from __future__ import annotations

import base64
import email
import re
from collections.abc import Generator, Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from engine.documents.block import Block
from engine.documents.mail.attached import DEEPEST, Attachments
from engine.documents.text_encoding import decoded
from engine.documents.web.flow import blocks_of
from engine.documents.web.parsing import page_tree

FIELDS = ("From", "To", "Cc", "Date")
PARAGRAPHS = re.compile(r"\n[ \t]*\n+")
RICH = 1.5  # an HTML body that says so much more than the plain one is the real one


def message_blocks(data: bytes, attachments: Attachments, depth: int = 0) -> Generator[Block, None, None]:
    """The blocks of a mail; those within it are read as deep as DEEPEST."""
    message = email.message_from_bytes(data)
    yield Block("heading", header(message, "Subject") or "(no subject)", 1 if depth == 0 else 3)
    lines = ((name, header(message, name)) for name in FIELDS)
    yield Block("text", "\n".join(f"{name}: {text}" for name, text in lines if text))
    yield from _part(message, attachments, depth)


def header(message: Message, name: str) -> str:
    """A header line as text, encoded words decoded; "" where there is none."""
    value = message.get(name)
    if value is None:
        return ""
    try:
        text = str(make_header(decode_header(value)))
    except (LookupError, ValueError, HeaderParseError):
        text = str(value)
    raw = str(value).encode("utf-8", "surrogateescape")
    return " ".join((decoded(raw) if any(byte > 127 for byte in raw) else text).split())


def body_text(part: Message) -> str:
    """The text of a part in the encoding it names, or looks like."""
    data = payload(part)
    charset = (part.get_content_charset() or "").replace("gb2312", "gb18030").replace("gbk", "gb18030")
    try:
        text = data.decode(charset) if charset not in ("", "us-ascii") else decoded(data)
    except (LookupError, ValueError):
        text = decoded(data)
    return text.replace("\r\n", "\n")


def payload(part: Message) -> bytes:
    """The decoded bytes of a part."""
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def plain_blocks(text: str, flowed: bool = False) -> Iterator[Block]:
    """Paragraphs of a plain body; in a flowed one, lines that end in a space go on in the next."""
    if flowed:
        text = re.sub(r"(?<!\n--) \n(?!>)", " ", text)
    for paragraph in PARAGRAPHS.split(text):
        yield Block("text", paragraph.strip())


def html_blocks(text: str) -> Iterator[Block]:
    """Blocks of an HTML body; its title is no heading of the mail."""
    root = page_tree(text)
    if root is not None:
        for title in root.findall(".//title"):
            title.text = ""
        yield from blocks_of(root)


def _part(part: Message, attachments: Attachments, depth: int) -> Generator[Block, None, None]:
    kind, parts = part.get_content_type(), part.get_payload()
    if depth > 4 * DEEPEST:
        return
    if kind == "message/rfc822" and isinstance(parts, list):
        for inner in parts:
            if isinstance(inner, Message):
                yield from message_blocks(_unwrapped(inner), attachments, depth + 4)
    elif kind == "multipart/alternative" and isinstance(parts, list):
        yield from _alternative([one for one in parts if isinstance(one, Message)], attachments, depth)
    elif isinstance(parts, list):
        for one in parts:
            if isinstance(one, Message):
                yield from _part(one, attachments, depth + 1)
    elif _is_body(part):
        attachments.count(len(payload(part)))
        yield from _body(part)
    else:
        shown_inside = part.get("Content-ID") is not None and part.get_content_maintype() == "image"
        name = part.get_filename() or ""
        yield from attachments.blocks(_name(name) or part.get_content_subtype(), payload(part), not shown_inside)


def _unwrapped(message: Message) -> bytes:
    """The bytes of a mail within a mail; some programs encode it as a whole, against the rules."""
    text = message.get_payload()
    if message.keys() or not isinstance(text, str):
        return message.as_bytes()
    try:
        return base64.b64decode(text, validate=False)
    except ValueError:
        return message.as_bytes()


def _name(name: str) -> str:
    try:
        return str(make_header(decode_header(name)))
    except (LookupError, ValueError, HeaderParseError):
        return name


def _is_body(part: Message) -> bool:
    return part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment"


def _body(part: Message) -> Iterator[Block]:
    text = body_text(part)
    if part.get_content_subtype() == "html":
        return html_blocks(text)
    return plain_blocks(text, str(part.get_param("format", "")).lower() == "flowed")


def _alternative(parts: list[Message], attachments: Attachments, depth: int) -> Generator[Block, None, None]:
    """Of the versions of one body, the one that says the most: plain text, if HTML adds neither words nor tables."""
    plain = next((one for one in parts if one.get_content_type() == "text/plain"), None)
    rich = next((one for one in parts if one.get_content_type() != "text/plain"), None)
    if rich is None or plain is None:
        chosen = rich if plain is None else plain
        yield from _part(chosen, attachments, depth + 1) if chosen is not None else ()
        return
    blocks = list(_part(rich, attachments, depth + 1))
    words = sum(len(block.text) for block in blocks)
    has_table = any(block.kind == "table" for block in blocks)
    if has_table or words > RICH * len(body_text(plain)) or rich.is_multipart():
        yield from blocks
    else:
        yield from _part(plain, attachments, depth + 1)
