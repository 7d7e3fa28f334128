"""The last day of a certificate, as tables write it. Pure."""

import re
import unicodedata
from datetime import date, datetime

from shared.values.clock import business_day
from shared.values.text import DASHES

# What tables write for "no expiry"; systems without that write the last year there is.
_NO_EXPIRY = frozenset({"长期", "长期有效", "永久", "永久有效", "无限期", "无期限", "无固定期限"})
_LAST_YEAR = 9999
_DAY = re.compile(r"(\d{4})(?:年(\d{1,2})月(\d{1,2})日?|([-/.])(\d{1,2})\4(\d{1,2})|(\d{2})(\d{2}))", re.ASCII)
_TIME = re.compile(
    r"(?:T|\s)\s*(?:上午|下午|[AP]M)?\s*(\d{1,2})[:时](\d{1,2})分?(?::?\d{1,2}秒?)?(?:\.\d+)?\s*(?:[AP]M)?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_DASH = dict.fromkeys(map(ord, DASHES), "-")


class InvalidExpiry(ValueError):
    """`message` is a Chinese sentence."""

    message = "有效期应为真实日期，例如 2027-05-31；长期有效的请留空或填写“长期”"


def parse_expiry(text: str) -> date | None:
    """Read a day, also with a time of day or as the end of a period (… 至 …); None for no expiry.

    A time with a zone is an instant, whose day is that in Asia/Shanghai. Raises InvalidExpiry.
    """
    text = unicodedata.normalize("NFKC", text).translate(_DASH).strip()
    if not text:
        return None
    begin, _, end = text.rpartition("至")
    try:
        if begin:
            _day(begin)
        return _day(end)
    except ValueError:
        raise InvalidExpiry from None


def _day(text: str) -> date | None:
    zone = None
    if (time := _TIME.search(text)) and time.end() == len(text):
        text, zone = text[: time.start()], time[3]
    plain = "".join(text.split())
    if plain in _NO_EXPIRY:
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
