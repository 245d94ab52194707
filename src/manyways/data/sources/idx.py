"""IDX files (the format of MNIST), plain or gzipped: a file with its labels file, or a folder of parts.

The format: two zero bytes, a type code, the number of axes, each axis as a big-endian uint32, then the
values.
"""

import re
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from manyways.data.parts import TEST, TRAINING
from manyways.data.sources.base import Options, Raw, RawColumn, RawTable, alone, input_columns, part_of, plain_name
from manyways.data.sources.limits import check_held, need_of, read_exactly
from manyways.data.sources.rows import IN_MEMORY, keep, key_of_file
from manyways.data.sources.text_files import open_binary
from manyways.data.storage import Rows, loaded, open_rows
from manyways.errors import DataError

ORDER = 20
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
NAME = re.compile(r"[-._]idx\d[-._]?\w*(\.gz)?$|\.idx(\.gz)?$", re.IGNORECASE)
CHUNK_BYTES = 4 << 20


def accepts(source: Any) -> bool:
    """A file named like `train-images-idx3-ubyte.gz`, or a folder that holds such image files."""
    if not isinstance(source, Path):
        return False
    return bool(NAME.search(source.name)) if source.is_file() else bool(image_files(source))


def load(source: Path, options: Options) -> Raw:
    """Images and the labels beside them; a folder's `train-…` and `t10k-…` files are its parts."""
    if source.is_file():
        return alone(_pair(source))
    tables = [(_part(path), _pair(path)) for path in image_files(source)]
    tables.sort(key=lambda each: each[0])
    if len({part for part, _ in tables}) < len(tables):
        raise DataError(
            f"{source} holds several image files of one part: {', '.join(path.name for path in image_files(source))}. "
            "Name one of the files."
        )
    return Raw(tables, source.name, str(source))


def image_files(folder: Path) -> list[Path]:
    """The IDX files in `folder` that are no labels, a file before its packed copy."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and NAME.search(path.name))
    inputs = [path for path in files if "label" not in path.name.lower()]
    return [path for path in inputs if not (path.suffix == ".gz" and path.with_suffix("") in inputs)]


def _part(path: Path) -> int:
    return TEST if path.name.lower().startswith("t10k") else part_of(path.name) or TRAINING


def _pair(path: Path) -> RawTable:
    if "label" in path.name.lower():
        return RawTable([RawColumn("label", read(path))], plain_name(path), str(path))
    images = read(path)
    name = "image" if len(images.shape) >= 3 else "x"
    columns = input_columns(images, name, str(path), key_of_file(path, "pixels"))
    labels = labels_file(path)
    if labels is not None:
        values = loaded(read(labels))
        if len(values) != len(images):
            raise DataError(f"{path} has {len(images):,} rows, but {labels} has {len(values):,}; they must be as many.")
        columns.append(RawColumn("label", values))
    return RawTable(columns, plain_name(path), str(path))


def labels_file(images: Path) -> Path | None:
    """The labels file beside an images file: `train-images-idx3-ubyte` has `train-labels-idx1-ubyte`."""
    wanted = re.sub(r"idx\d", "idx1", re.sub("images?|data|inputs?", "labels", images.name, flags=re.IGNORECASE))
    if wanted == images.name:
        return None
    bare = wanted.removesuffix(".gz")
    near = (images.with_name(name) for name in (wanted, bare, f"{bare}.gz"))
    return next((path for path in near if path.is_file()), None)


def read(path: Path) -> Rows:
    """The array in an IDX file: mapped in place where it is large and plain, else unpacked as a stream.

    Raises DataError for a wrong magic number, and for more or fewer bytes than the header announces.
    """
    with open_binary(path) as file:
        shape, dtype, offset = _header(file, path)
        need = need_of(shape, dtype, str(path))
        if path.suffix.lower() != ".gz":
            held = path.stat().st_size - offset
            if held != need:
                raise DataError(_wrong_length(path, shape, need, held))
            if need > IN_MEMORY:
                return open_rows(path, shape, dtype, offset)
        else:
            check_held(need, path.stat().st_size, str(path), packed=True)
        return keep(_stream(file, path, shape, dtype, need), shape, dtype.newbyteorder("="), key_of_file(path))


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not 1 <= magic[3] <= 4:
        raise DataError(
            f"{path} is no IDX file: it must begin with two zero bytes, a type code in "
            f"{', '.join(f'{code:#04x}' for code in TYPES)} and 1 to 4 axes; it begins with "
            f"{magic.hex(' ') or 'nothing'}."
        )
    axes = file.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        raise DataError(f"{path} is cut short: it ends within its header. Download it again.")
    shape = tuple(int(size) for size in np.frombuffer(axes, ">u4"))
    return shape, np.dtype(TYPES[magic[2]]), 4 + len(axes)


def _stream(
    file: BinaryIO, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], need: int
) -> Iterator[NDArray[Any]]:
    row_bytes = prod(shape[1:]) * dtype.itemsize
    rows = max(1, CHUNK_BYTES // max(row_bytes, 1))
    for start in range(0, shape[0], rows):
        count = min(rows, shape[0] - start)
        data = read_exactly(file, count * row_bytes)
        if len(data) < count * row_bytes:
            raise DataError(_wrong_length(path, shape, need, start * row_bytes + len(data)))
        yield np.frombuffer(data, dtype).reshape(count, *shape[1:])
    if file.read(1):
        raise DataError(
            f"{path} holds more than the {need:,} bytes of values that its header announces. Download it again."
        )


def _wrong_length(path: Path, shape: tuple[int, ...], need: int, size: int) -> str:
    what = "is cut short" if size < need else "is too long"
    return (
        f"{path} {what}: its header announces {'x'.join(map(str, shape))} values in {need:,} bytes, it holds {size:,}. "
        "Download it again."
    )
