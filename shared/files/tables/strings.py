"""The strings that a workbook keeps apart from its sheets."""

from array import array
from typing import BinaryIO

from shared.files.tables.errors import MAX_CELL_CHARACTERS, TableError
from shared.files.tables.markup import Attributes, Elements, read

# A hundred thousand rows with ten different texts each.
MAX_STRINGS = 1_000_000
MAX_STRING_BYTES = 64 * 1024 * 1024


class Text:
    """A text that comes in pieces; beyond what a cell may hold it only grows until that is seen."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    def add(self, piece: str) -> None:
        if self._size <= _KEPT:
            self._pieces.append(piece[: _KEPT + 1])
            self._size += len(piece)

    def take(self) -> str:
        """Return the text and begin another."""
        pieces = self._pieces
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        pieces.clear()
        self._size = 0
        return text


# Blanks around a text do not count to its length.
_KEPT = 4 * MAX_CELL_CHARACTERS


class Strings:
    """Strings by their place, packed: a list of them would take several times the memory."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("I")

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: int) -> str:
        """Raise IndexError for a place that there is not."""
        if place < 0:
            raise IndexError(place)
        begin = self._ends[place - 1] if place else 0
        return self._bytes[begin : self._ends[place]].decode()

    def add(self, text: str) -> None:
        """Raise TableError if there are too many."""
        self._bytes += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._bytes))
        if len(self._ends) > MAX_STRINGS or len(self._bytes) > MAX_STRING_BYTES:
            raise TableError("table_too_large", "工作簿中的文字过多，请只保留需要导入的工作表、行和列")

    def load(self, stream: BinaryIO) -> None:
        """Take the strings of a part; raises TableError, MarkupError."""
        read(stream, _Items(self))


class _Items(Elements):
    """`<si><t>…</t></si>`, or runs of rich text, of which the readings of characters are no part."""

    __slots__ = ("_inside", "_reading", "_strings", "_text")

    def __init__(self, strings: Strings) -> None:
        super().__init__()
        self._strings = strings
        self._text = Text()
        self._inside = self._reading = False

    def start(self, name: str, _attributes: Attributes) -> None:
        self.depth += 1
        local = self.local[name]
        if local == "t":
            self._inside = not self._reading
        elif local == "rPh":
            self._reading = True

    def end(self, name: str) -> None:
        self.depth -= 1
        local = self.local[name]
        if local == "t":
            self._inside = False
        elif local == "rPh":
            self._reading = False
        elif local == "si":
            self._strings.add(self._text.take())

    def text(self, piece: str) -> None:
        if self._inside:
            self._text.add(piece)
