"""XML of strangers, streamed: no DTD and so no entities, and every buffer of the parser bounded."""

from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.parsers import expat

CHUNK_BYTES = 64 * 1024
MAX_TOKEN_BYTES = 1024 * 1024  # a tag, with its attributes, or a comment: the parser keeps it whole
MAX_NAMES = 5_000  # of elements and attributes, which the parser keeps
MAX_DEPTH = 100  # where a chunk ends

Attributes = dict[str, str]


class MarkupError(ValueError):
    """Not XML that we read."""


class Elements:
    """What is called with each element, by its name without prefix; a reader of one kind of part is a subclass.

    `text` is called with pieces of the text between two tags.
    """

    __slots__ = ("depth", "local")

    def __init__(self) -> None:
        self.depth = 0
        self.local = _LocalNames()

    def start(self, name: str, attributes: Attributes) -> None:
        raise NotImplementedError

    def end(self, name: str) -> None:
        raise NotImplementedError

    def text(self, piece: str) -> None:
        """Take nothing, as readers of attributes do."""


class _LocalNames(dict[str, str]):
    def __missing__(self, name: str) -> str:
        local = self[name] = name.rpartition(":")[2]
        return local


def parse(stream: BinaryIO, elements: Elements) -> Iterator[None]:
    """Read the stream to its end, a chunk at each step. Raises MarkupError, and what the stream raises."""
    names: dict[str, str] = {}
    parser = expat.ParserCreate(intern=names)
    parser.buffer_text = True
    parser.StartElementHandler = elements.start
    parser.EndElementHandler = elements.end
    parser.CharacterDataHandler = elements.text
    parser.StartDoctypeDeclHandler = _refuse
    fed = 0
    try:
        while chunk := stream.read(CHUNK_BYTES):
            fed += len(chunk)
            parser.Parse(chunk, False)
            if fed - parser.CurrentByteIndex > MAX_TOKEN_BYTES or len(names) > MAX_NAMES or elements.depth > MAX_DEPTH:
                raise MarkupError("a tag, a list of names or a nesting without end")
            yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError:
        raise MarkupError("not well-formed") from None


def read(stream: BinaryIO, elements: Elements) -> None:
    """`parse` in one go."""
    for _ in parse(stream, elements):
        pass


def _refuse(*_: object) -> None:
    raise MarkupError("a document type")


def attribute(attributes: Attributes, name: str) -> str:
    """Return the attribute of this name, with whatever prefix, or ""."""
    if name in attributes:
        return attributes[name]
    return next((value for key, value in attributes.items() if key.rpartition(":")[2] == name), "")


Start = Callable[[str, Attributes], None]


class Flat(Elements):
    """A reader of attributes alone: `found` is called with each element's local name and attributes."""

    __slots__ = ("found",)

    def __init__(self, found: Start) -> None:
        super().__init__()
        self.found = found

    def start(self, name: str, attributes: Attributes) -> None:
        self.depth += 1
        self.found(self.local[name], attributes)

    def end(self, _name: str) -> None:
        self.depth -= 1
