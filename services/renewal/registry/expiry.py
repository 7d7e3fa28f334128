"""The last day of a certificate, as tables write it. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache

from shared.values.clock import business_day
from shared.values.text import DASHES

# What tables write for "no expiry"; systems without that write the last year there is.
_NO_EXPIRY = re.compile("(?:长期|長期|永久|终身|終身)(?:有效)?|[无無](?:固定)?(?:限期|期限)")
_LAST_YEAR = 9999
_DAY = re.compile(r"(\d{4})(?:年(\d{1,2})月(\d{1,2})[日号]?|([-/.])(\d{1,2})\4(\d{1,2})|(\d{2})(\d{2}))", re.ASCII)
_TIME = re.compile(
    r"(?:T|\s)\s*(?:上午|下午|[AP]M)?\s*(\d{1,2})[:时](\d{1,2})分?(?::?\d{1,2}秒?)?(?:\.\d+)?\s*(?:[AP]M)?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_FROM = re.compile(r"[自从從](?=\s*\d)")
_BETWEEN = re.compile(r"起?[至到~〜∼]|-+")
_LABEL = re.compile(r"(?:证书)?(?:有效期限?)?:?(?:截止?)?:?(?=[至到]?\s*[自从從]?\s*\d)")
_UNTIL = re.compile(r"[截为為]?止$|[。;]$")
_DASH = dict.fromkeys(map(ord, DASHES), "-")


class InvalidExpiry(ValueError):
    """`message` is a Chinese sentence."""

    message = "有效期应为真实日期，例如 2027-05-31；长期有效的请留空或填写“长期”"


@lru_cache(4096)
def parse_expiry(text: str) -> date | None:
    """Read a day, also with a time of day, or as the end of a period (… 至 … 止, … ~ …, … — …); None for no expiry.

    A time with a zone is an instant, whose day is that in Asia/Shanghai. Raises InvalidExpiry.
    """
    text = unicodedata.normalize("NFKC", text).translate(_DASH).strip()
    if not text:
        return None
    labelled = _LABEL.match(text)
    for begin, end in _periods(_UNTIL.sub("", text[labelled.end() :] if labelled else text)):
        try:
            first, last = _day(begin) if begin else None, _day(end)
        except ValueError:
            continue
        if first is None or last is None or first <= last:
            return last
    raise InvalidExpiry


def _periods(text: str) -> Iterator[tuple[str, str]]:
    """Everything that the text may be as a begin, which may be "", and an end. A dash may be within a day."""
    yield "", text
    text = text[begins.end() :] if (begins := _FROM.match(text)) else text
    for between in _BETWEEN.finditer(text):
        begin = text[: between.start()].strip()
        if begin or "-" not in between[0]:
            yield begin, text[between.end() :]


def _day(text: str) -> date | None:
    zone = None
    if (time := _TIME.search(text)) and time.end() == len(text):
        text, zone = text[: time.start()], time[3]
    plain = "".join(text.split())
    if _NO_EXPIRY.fullmatch(plain):
        return None
    match = _DAY.fullmatch(plain)
    if match is None:
        raise ValueError
    year, month, day = (int(part) for part in match.groups() if part and part.isdecimal())
    if year == _LAST_YEAR:
        return None
    if not 1900 <= year <= 2199:
        raise ValueError
    if time and zone:
        return business_day(datetime.fromisoformat(f"{date(year, month, day)}T{time[1]:0>2}:{time[2]:0>2}{zone}"))
    return date(year, month, day)
