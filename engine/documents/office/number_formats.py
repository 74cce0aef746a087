"""Numbers as a sheet shows them: dates as ISO 8601, percentages with their sign, the rest without float noise."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

DATE_BUILTIN = {14: "yyyy-mm-dd", 15: "yyyy-mm-dd", 16: "yyyy-mm-dd", 17: "yyyy-mm-dd", 18: "h:mm", 19: "h:mm:ss"}
BUILTIN = {
    9: "0%",
    10: "0.00%",
    **DATE_BUILTIN,
    20: "h:mm",
    21: "h:mm:ss",
    22: "yyyy-mm-dd h:mm",
    **dict.fromkeys((*range(27, 32), 34, 35, 36, *range(50, 59)), "yyyy-mm-dd"),
    **dict.fromkeys((32, 33), "h:mm:ss"),
    45: "mm:ss",
    46: "[h]:mm:ss",
    47: "mm:ss",
}
SAID = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)  # literal words, colours, padding
LAST_DAY = 2_958_466  # of a serial date: 9999-12-31


def shown(value: float, code: str, since_1904: bool = False) -> str:
    """The number as text under a format code ("" or "General" for none)."""
    plain = SAID.sub("", code.partition(";")[0]).lower()
    if "%" in plain:
        decimals = len(re.sub(r"[^0#?]", "", plain.partition(".")[2])) if "." in plain else 0
        return f"{value * 100:.{min(decimals, 15)}f}%"
    if is_date(plain) and 0 <= value < LAST_DAY:
        return _moment(value, plain, since_1904)
    return number(value)


def number(value: float) -> str:
    """A number without exponent where it is of ordinary size, and without the noise of its 17th digit."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15g}"


def is_date(plain: str) -> bool:
    """Whether a format code, its literal words taken out, writes a date or a time."""
    if plain in ("", "general", "@") or re.search("[0#?]", re.sub(r"\.0+", "", plain)):
        return False
    return any(letter in plain for letter in "ymdhs年月日")


def _moment(value: float, plain: str, since_1904: bool) -> str:
    has_day, has_time = bool(re.search("[yd年日]|mmm", plain)), bool(re.search("[hs]", plain))
    if not has_day and has_time:
        seconds = round(value * 86400) if "[" in plain else round(value % 1 * 86400)
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    # 1900 was no leap year, but the format counts a 29 February in it: serial 60.
    start = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 31 if value < 60 else 30)
    moment = start + timedelta(seconds=round(value * 86400))
    return moment.strftime("%Y-%m-%d %H:%M:%S" if has_time else "%Y-%m-%d")
