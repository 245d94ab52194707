"""Text files, plain or gzipped: lines, and where exactly one is damaged."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from manyways.errors import DataError


@contextmanager
def open_binary(path: Path) -> Iterator[BinaryIO]:
    """The bytes of `path`, unpacked where its name ends in .gz. Raises DataError where it is damaged."""
    try:
        with gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield cast("BinaryIO", file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: {error}. Check the download, or pack it again.") from error


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
                at = offset - pending + error.start
                line += chunk[: max(0, error.start - pending)].count(b"\n")
                raise DataError(
                    f"{path} is not UTF-8: byte {error.object[error.start]:#04x} at byte offset {at:,}, line {line:,}. "
                    f"Text must be UTF-8; convert it: iconv -f latin1 -t utf-8 {path.name} > utf8-{path.name}"
                ) from error
            if not chunk:
                return
            line += chunk.count(b"\n")
            offset += len(chunk)
