"""What people paste and type, brought into one form: a function for each kind of field.

All are pure and idempotent, and give "" for a text of which nothing can be seen: to have typed only that is to have
typed nothing. They check nothing. What is folded, and why it comes along:

- full-width letters and digits, ligatures, compatibility forms (NFKC);
- what cannot be seen: every format character (Cf: zero width, direction, soft hyphen, byte order mark), variation
  selectors, fillers. They come with text from chats, web pages and spreadsheets;
- private-use codes in which GBK had characters that Unicode had not (GB 18030-2022, rows FE50 to FEA0);
- dots, dashes, brackets, apostrophes, of which every input method has others.
"""

import re
import unicodedata

# Every Cf, and what Unicode has as Default_Ignorable_Code_Point; U+2800 is a blank that is no space.
INVISIBLE = (
    "\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd"
    "\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
DOTS = "•‧∙⋅・･․ㆍ˙·᛫⸱⸳●"
# Letters that look like one; of names only, as the database's search_key leaves them.
LETTER_DOTS = "\ua78f\u02d1"
DASHES = "‐‑‒–—―−⁃─━⸺⸻﹘﹣－˗➖"
OPENING = "(（[［{｛〔﹝【〖〘〚﹙﹛⦅｟"
CLOSING = ")）]］}｝〕﹞】〗〙〛﹚﹜⦆｠"
APOSTROPHES = "’‘ʼʻ`´′＇"
ZEROS = "○◯⭕"
# Every No that NFKC would make plain digits of: ① is a mark before a number, not its first digit.
NUMERALS = (
    "\u00b2\u00b3\u00b9\u00bc-\u00be\u2070\u2074-\u2079\u2080-\u2089\u2150-\u215f\u2189\u2460-\u249b\u24ea\u3192-\u3195"
    "\u3220-\u3229\u3251-\u325f\u3280-\u3289\u32b1-\u32bf\U0001f100-\U0001f10a"
)

# GBK's codes FE50 to FEA0, in Windows' private use U+E815 to U+E864, and the characters that they are by
# GB 18030-2005 and 2022; then ḿ and ǹ (A8BC, A8BF) and the vertical forms of punctuation (A6D9 to A6F3).
_PRIVATE_USE = {
    0xE815 + n: character
    for n, character in enumerate(
        "⺁𠂇𠂉𠃌⺄㑳㑇⺈⺋龴㖞㘚㘎⺌⺗㥮㤘龵㧏㧟㩳㧐龶龷㭎㱮㳠⺧𡗗龸⺪䁖䅟⺮䌷⺳⺶⺷𢦏䎱"
        "䎬⺻䏝䓖䙡䙌龹䜣䜩䝼䞍⻊䥇䥺䥽䦂䦃䦅䦆䦟䦛䦷䦶龺𤇾䲣䲟䲠䲡䱷䲢䴓䴔䴕䴖䴗䴘䴙䶮龻"
    )
} | {0xE7C7: "ḿ", 0xE7C8: "ǹ", **{0xE78D + n: character for n, character in enumerate("︐︒︑︓︔︕︖︗︘︙")}}

_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
_NUMERAL = re.compile(f"([{NUMERALS}]+)")
_LINE_END = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
# Where Chinese stands beside it, a space has no meaning: 张　三 is padded for looks only.
HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SPACE_BESIDE_HAN = re.compile(f"(?<=[{HAN}·（）]) | (?=[{HAN}·（）])")
_DOT_BETWEEN_HAN = re.compile(f"(?<=[{HAN}]) *[.。]+ *(?=[{HAN}])")
_TRAILING_DOT = re.compile(rf"(?<=[{HAN}])[ ,.。·]+$|(?<=\w)[ ,·]+$")
_SPACE_AFTER_COMMA = re.compile(r" *, *")

_DOT, _DASH = dict.fromkeys(map(ord, DOTS), "·"), dict.fromkeys(map(ord, DASHES), "-")
_ROUND = dict.fromkeys(map(ord, OPENING), "(") | dict.fromkeys(map(ord, CLOSING), ")")
_WIDE = dict.fromkeys(map(ord, OPENING), "（") | dict.fromkeys(map(ord, CLOSING), "）")
# What is folded in every field of one line, and in numbers, names and searches.
_PLAIN = _PRIVATE_USE | dict.fromkeys(map(ord, APOSTROPHES), "'") | _DASH
_NAMED = _PLAIN | _DOT | dict.fromkeys(map(ord, ZEROS), "〇")
_LETTER_DOT = dict.fromkeys(map(ord, LETTER_DOTS), "·")
_NAME = _NAMED | _LETTER_DOT
_SOUGHT = _ROUND | dict.fromkeys(map(ord, ".。"), "·")

# Of what these are made no function here changes anything: most of what tables hold, and quickly told.
_CLEAN = re.compile("[0-9A-Za-z\u4e00-\u9fff]+")
_CLEAN_NUMBER = re.compile("[0-9A-Za-z\u4e00-\u9fff()/.〔〕]+(?:-[0-9A-Za-z\u4e00-\u9fff()/.〔〕]+)*")

_AREA = r"(?:10|2[0-9]|[3-9][0-9]{2})"
_MOBILE = re.compile(r"(?:\+?86|0086|0)?(1[3-9][0-9]{9})")
_LANDLINE = re.compile(rf"(?:\+?86|0086)?(?:(?<![0-9])0|(?<=86)0?)({_AREA})([2-9][0-9]{{6,7}})")
_SERVICE = re.compile("([48]00)([0-9]{3})([0-9]{4})")
_EXTENSION = re.compile(r"(?:-?(?:转分机|转接|分机号?|转|extension|ext|x)[.:]?-?|[#*,])([0-9]{1,8})", re.IGNORECASE)


def person_name(text: str) -> str:
    """张　三 -> 张三, 张三· -> 张三, 阿卜杜拉 • 买买提 -> 阿卜杜拉·买买提, SMITH，JOHN -> SMITH, JOHN."""
    if _CLEAN.fullmatch(text):
        return text
    name = _visible(text, _NAME)
    name = re.sub("·+", "·", _DOT_BETWEEN_HAN.sub("·", name))
    name = _SPACE_AFTER_COMMA.sub(", ", _closed_up(name)).strip(" ,")
    return _composed(_TRAILING_DOT.sub("", name))


def has_two_names(text: str) -> bool:
    """Tell whether a line break stands between two names, which `person_name` would join."""
    return sum(bool(person_name(part)) for part in text.splitlines()) > 1


def enterprise_name(text: str) -> str:
    """南昌(建设) 公司 -> 南昌（建设）公司, as the business licence has it; brackets stay round in a foreign name."""
    name = _visible(text, _NAME)
    return _composed(_closed_up(name.translate(_WIDE if re.search(f"[{HAN}]", name) else _ROUND)))


def certificate_number(text: str) -> str:
    """No spaces, one dash; brackets and ① stay as they are printed: 赣建安C〔2021〕—03 -> 赣建安C〔2021〕-03."""
    if _CLEAN_NUMBER.fullmatch(text):
        return text
    parts = enumerate(_NUMERAL.split(text))
    number = "".join(part if at % 2 else _visible(part, _NAMED) for at, part in parts).replace(" ", "")
    return _composed(re.sub("-+", "-", number))


def identifier(text: str) -> str:
    """Give an id number or taxpayer id capitals, no spaces, no dashes."""
    if _CLEAN.fullmatch(text):
        return text.upper()
    return _composed(_visible(text, _PLAIN).replace(" ", "").replace("-", "").upper())


def login_name(text: str) -> str:
    """Give a login name the form under which it is unique: width and capitals make no difference."""
    return _composed(_visible(text, _DASH).casefold())


def phone(text: str) -> str:
    """+86 138 0000 0000 -> 13800000000, （0791）88888888 转 8001 -> 0791-88888888转8001; foreign ones keep their +."""
    number = re.sub(r"[-.()/]+", "-", _visible(text, _PLAIN).translate(_ROUND).replace(" ", "")).strip("-")
    if number.startswith("+-"):
        number = f"+{number.strip('+-')}"
    number, _, extension = _EXTENSION.sub(r"转\1", number).partition("转")
    number = number.rstrip("-")
    digits = number.replace("-", "")
    if mobile := _MOBILE.fullmatch(digits):
        number = mobile[1]
    elif landline := _LANDLINE.fullmatch(digits):
        number = f"0{landline[1]}-{landline[2]}"
    elif service := _SERVICE.fullmatch(digits):
        number = "-".join(service.groups())
    return _composed(f"{number}转{extension}" if extension else number)


def line(text: str) -> str:
    """Text of one line, such as an address: spaces single, punctuation and symbols as typed."""
    return " ".join((text if text.isascii() else _as_typed(text)).split())


def paragraph(text: str) -> str:
    """Free text: lines and inner spaces kept, no more than one empty line between, punctuation and symbols as typed."""
    lines = "\n".join(part.rstrip() for part in _LINE_END.sub("\n", _as_typed(text)).split("\n"))
    return re.sub("\n{3,}", "\n\n", lines).strip()


def search(text: str) -> str:
    """What stored and searched text is compared by, whatever its case: no spaces, one dot, dash and bracket."""
    if _CLEAN.fullmatch(text):
        return text
    return _composed(_visible(text, _NAMED).translate(_SOUGHT).replace(" ", ""))


def sought(text: str) -> str:
    """What stored names are searched by: as `search`, with the dots that they were cleaned of."""
    return search(text.translate(_LETTER_DOT))


def private_use(text: str) -> str | None:
    """Find the first character that only the computer on which it was made can show, if any is left."""
    return next((character for character in text if unicodedata.category(character) == "Co"), None)


def _visible(text: str, forms: dict[int, str]) -> str:
    """Fold the text, its characters into these forms and white space into single spaces, none at the ends."""
    # Before as well, because NFKC makes a space and a mark of some.
    typed = _INVISIBLE.sub("", text.translate(forms))
    return " ".join(unicodedata.normalize("NFKC", typed).translate(forms).split())


def _closed_up(text: str) -> str:
    return _SPACE_BESIDE_HAN.sub("", text)


def _composed(text: str) -> str:
    # What was apart may now stand beside a mark that it takes up.
    return unicodedata.normalize("NFC", text)


def _as_typed(text: str) -> str:
    """Fold letters and digits only: ， and ① in free text are what was meant."""
    visible = _INVISIBLE.sub("", text.translate(_PRIVATE_USE))
    folded = (
        unicodedata.normalize("NFKC", character)
        if unicodedata.category(character) in {"Lu", "Ll", "Lt", "Lm", "Lo", "Nd"}
        else character
        for character in visible
    )
    return unicodedata.normalize("NFC", "".join(folded))
