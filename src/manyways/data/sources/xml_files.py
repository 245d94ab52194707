"""XML that anybody may have written: no document types, no entities, nothing fetched; bounded in size and depth."""

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from manyways.errors import DataError

MOST_BYTES = 16 << 20
DEEPEST = 100


class _Refused(Exception):
    """XML that is not read, for a reason."""


def read(path: Path) -> Element:
    """The root of the XML file at `path`.

    A document type is refused, and with it entities of its own and whatever it names elsewhere.

    Raises:
        DataError: The file is no XML, too large, too deep, or has a document type; the message names it.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise DataError(f"{path} has {size:,} bytes; annotations of one picture have {MOST_BYTES:,} at most.")
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise _Refused(f"is nested deeper than {DEEPEST} levels")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: object) -> None:
        raise _Refused("has a document type, by which it could name other files or unfold without bound")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except _Refused as error:
        raise DataError(f"{path} {error}; it is not read. Save the annotation again without it.") from error
    except expat.ExpatError as error:
        raise DataError(f"{path} is no XML: {error}. Download or save it again.") from error


def text_of(element: Element, *names: str) -> str | None:
    """The text of the element at the path `names` below `element`; None where there is none."""
    deeper: Element | None = element
    for name in names:
        deeper = None if deeper is None else deeper.find(name)
    text = None if deeper is None else deeper.text
    return text.strip() if text and text.strip() else None
