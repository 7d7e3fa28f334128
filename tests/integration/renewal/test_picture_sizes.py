"""Pictures as large as they may be, of whatever: read in a time that grows with their size, not with its square."""

import struct
import zlib

import pytest

from deploy import synthetic
from services.renewal.pictures.images import reduce
from services.renewal.pictures.reduced import MAX_BYTES, ImageInvalid

JPEG = synthetic.jpeg(480, 320)
PNG = synthetic.png(480, 320)
BEHIND_THE_HEADER = 33


def read(picture: bytes, place: int, filling: bytes) -> None:
    """What takes the square of the time does not end here."""
    filled = picture[:place] + filling * ((MAX_BYTES - len(picture)) // len(filling)) + picture[place:]
    assert len(filled) > MAX_BYTES - len(filling)
    try:
        reduce(filled)
    except ImageInvalid:
        return


@pytest.mark.parametrize(
    "filling",
    [b"\xff", b"\xff\0", b"\xff\xd0", b"\xff\xfe\0\2", b"\xff\xfe\0\0", b"\xff\xda\0\2", b"\0", b"\xff\xfe"],
)
@pytest.mark.parametrize("place", [20, JPEG.index(b"\xff\xda") + 14, len(JPEG) - 2])
def test_five_mebibytes_of_anything_are_read_in_no_time(filling: bytes, place: int) -> None:
    read(JPEG, place, filling)


@pytest.mark.parametrize("kind", [b"tEXt", b"IDAT"])
def test_five_mebibytes_of_empty_chunks_are_read_in_no_time(kind: bytes) -> None:
    read(PNG, BEHIND_THE_HEADER, struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind)))


@pytest.mark.parametrize("filling", [b"\0", PNG[BEHIND_THE_HEADER:]])
def test_five_mebibytes_between_the_chunks_are_read_in_no_time(filling: bytes) -> None:
    read(PNG, BEHIND_THE_HEADER, filling)
