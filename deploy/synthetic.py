"""Synthetic people, enterprises and images: valid in form, belonging to nobody."""

import io
import random
from datetime import date

from PIL import Image

from shared.values import idnumber, taxpayer

# Not an area in use, so that no number can be a living person's.
AREA = "360199"

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张"
_GIVEN = "安宁和平清远明亮春雨秋山松柏云海江河竹兰星辰"


def id_number(sex: idnumber.Sex = "male", born: date = date(1990, 1, 1), sequence: int = 0) -> str:
    """Make a valid identity number; 500 (`sequence` 0..499) for each sex and birth date."""
    return idnumber.make(AREA, born, 2 * sequence + (sex == "male"))


def taxpayer_id(n: int = 0) -> str:
    """Make the nth valid 18-character unified social credit code."""
    return taxpayer.make(AREA, f"MA{n:07d}")


def person_name(n: int = 0) -> str:
    """Make the nth of some ten thousand invented names of three characters."""
    n, last = divmod(n, len(_GIVEN))
    n, first = divmod(n, len(_GIVEN))
    return _SURNAMES[n % len(_SURNAMES)] + _GIVEN[first] + _GIVEN[last]


def picture(width: int = 800, height: int = 500, seed: int = 0) -> Image.Image:
    """Paint coloured clouds, different for every seed."""
    noise = random.Random(seed).randbytes(16 * 10 * 3)  # noqa: S311 - a picture, not a secret
    return Image.frombytes("RGB", (16, 10), noise).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(width: int = 800, height: int = 500, seed: int = 0) -> bytes:
    return _encoded(picture(width, height, seed), "JPEG")


def png(width: int = 800, height: int = 500, seed: int = 0) -> bytes:
    return _encoded(picture(width, height, seed), "PNG")


def _encoded(image: Image.Image, image_format: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, image_format)
    return stream.getvalue()
