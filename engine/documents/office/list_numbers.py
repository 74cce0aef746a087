"""List numbers as they are written: decimal, letters, Roman, Chinese."""

from __future__ import annotations

CHINESE = "零一二三四五六七八九"
FORMAL = "零壹贰叁肆伍陆柒捌玖"
STEMS = "甲乙丙丁戊己庚辛壬癸"
BRANCHES = "子丑寅卯辰巳午未申酉戌亥"
ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"))
ROMAN_ONES = ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))
CIRCLED = {1: 0x2460, 21: 0x3251, 36: 0x32B1}
KINDS = {
    "lowerLetter": "a", "a": "a", "upperLetter": "A", "A": "A",
    "lowerRoman": "i", "i": "i", "upperRoman": "I", "I": "I",
    "chineseCounting": "一", "chineseCountingThousand": "一", "ideographDigital": "一", "taiwaneseCounting": "一",
    "taiwaneseCountingThousand": "一", "japaneseCounting": "一", "一": "一", "一, 二, 三, ...": "一",
    "chineseLegalSimplified": "壹", "ideographLegalTraditional": "壹", "壹": "壹", "壹, 贰, 叁, ...": "壹",
    "ideographTraditional": "甲", "甲": "甲", "ideographZodiac": "子", "子": "子",
    "decimalEnclosedCircle": "①", "decimalEnclosedCircleChinese": "①", "①": "①", "①, ②, ③, ...": "①",
    "decimalZero": "01", "none": "", "bullet": "",
}  # fmt: skip


def written(value: int, kind: str) -> str:
    """A list number in a format of OOXML or OpenDocument; decimal for a format that is not known."""
    kind = KINDS.get(kind, "1")
    if kind == "" or value < 0 or value > 99_999:
        return "" if kind == "" else str(value)
    if kind == "01":
        return f"{value:02}"
    if kind in ("a", "A"):
        return _cased(_letters(value), kind)
    if kind in ("i", "I"):
        return _cased(_roman(value), kind)
    return _chinese_kind(value, kind) if kind != "1" else str(value)


def _chinese_kind(value: int, kind: str) -> str:
    if kind == "一":
        return _chinese(value, CHINESE, "十百千")
    if kind == "壹":
        return _chinese(value, FORMAL, "拾佰仟")
    if kind == "①":
        first = max((start for start in CIRCLED if start <= value), default=0)
        return chr(CIRCLED[first] + value - first) if first and value <= 50 else str(value)
    signs = STEMS if kind == "甲" else BRANCHES
    return signs[value - 1] if 1 <= value <= len(signs) else str(value)


def _cased(text: str, kind: str) -> str:
    return text.upper() if kind.isupper() else text


def _letters(value: int) -> str:
    """a … z, aa, bb … as Word counts."""
    return chr(ord("a") + (value - 1) % 26) * ((value - 1) // 26 + 1) if value > 0 else "0"


def _roman(value: int) -> str:
    if not 0 < value < 4000:
        return str(value)
    text = ""
    for worth, sign in (*ROMAN, *ROMAN_ONES):
        text += sign * (value // worth)
        value %= worth
    return text


def _chinese(value: int, digits: str, powers: str) -> str:
    """十一, 二十, 一百零五: as numbers of headings are written; digits one by one from ten thousand on."""
    if value >= 10_000:
        return "".join(digits[int(one)] for one in str(value))
    text, gap = "", False
    for power in (3, 2, 1, 0):
        digit = value // 10**power % 10
        if digit:
            text += (digits[0] if gap and text else "") + digits[digit] + (powers[power - 1] if power else "")
        gap = not digit
    return (text.removeprefix("一") if 10 <= value < 20 else text) or digits[0]
