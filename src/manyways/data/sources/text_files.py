"""Text files, plain or gzipped: lines, and where exactly one is damaged."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from manyways.data.sources.limits import check_memory, opened, read_whole
from manyways.errors import DataError

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
"""The first bytes that say how a file is encoded, the longer ones first: UTF-32's begin with those of UTF-16."""


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """The bytes of `path` in UTF-8 where it begins with a mark of UTF-16 or UTF-32, else as they are.

    Unpacked where its name ends in .gz. Raises DataError where it is damaged, or unpacks to more than a packed file may
    (`limits`).
    """
    with opened(path) as file:
        encoding = mark_of(file.peek(4)[:4])
        yield io.BytesIO(_as_utf8(read_whole(path), encoding, path)) if encoding else cast("BinaryIO", file)


def is_marked(path: Path) -> bool:
    """True if the first bytes of `path` say that it is encoded otherwise than in UTF-8."""
    with opened(path) as file:
        return mark_of(file.peek(4)[:4]) is not None


def mark_of(beginning: bytes) -> str | None:
    """The encoding that a file's first bytes say, other than UTF-8; None where they say none."""
    return next((encoding for mark, encoding in MARKS.items() if beginning.startswith(mark)), None)


def _as_utf8(content: bytes, encoding: str, path: Path) -> bytes:
    check_memory(4 * len(content), str(path), f"text in {encoding.upper()}", "Save it as UTF-8: iconv -t utf-8.")
    try:
        return content.decode(encoding).encode()
    except UnicodeError as error:
        raise DataError(
            f"{path} says by its first bytes that it is {encoding.upper()}, and it is not: {error}. Save it again as "
            "UTF-8."
        ) from error


def check_utf8(path: Path) -> None:
    """Raises DataError with line and byte offset where `path` is not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset, line = 0, 1
    with open_binary(path) as file:
        while True:
            chunk = file.read(1 << 20)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                # The decoder sees what it held back from the last chunk before this one.
                place = offset - pending + error.start
                line += chunk[: max(0, error.start - pending)].count(b"\n")
                wrong = error.object[error.start]
                # Windows has letters and quotes where Latin 1 has control characters.
                encoding = "cp1252" if 0x80 <= wrong < 0xA0 else "latin1"
                raise DataError(
                    f"{path} is not UTF-8: byte {wrong:#04x} at byte offset {place:,}, line {line:,}. "
                    f"Text must be UTF-8; convert it: iconv -f {encoding} -t utf-8 {path.name} > utf8-{path.name}"
                ) from error
            if not chunk:
                return
            line += chunk.count(b"\n")
            offset += len(chunk)
