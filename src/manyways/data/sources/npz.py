"""NumPy's .npz and .npy files, never pickled; large arrays are mapped or streamed, never loaded whole."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.data.sources.base import Options, Raw, RawColumn, RawTable, alone, input_columns, plain_name
from manyways.data.sources.limits import HIGHEST_RATIO, check_held, check_memory, decoding, need_of, read_exactly
from manyways.data.sources.rows import IN_MEMORY, keep, key_of_file
from manyways.data.storage import FileRows, Rows, open_rows
from manyways.errors import DataError

ORDER = 30
ALWAYS = 1 << 30
"""Bytes to which an array may always unpack."""
CHUNK_BYTES = 4 << 20
PARTS = (
    (TRAINING, "train"),
    (VALIDATION, "val"),
    (VALIDATION, "valid"),
    (VALIDATION, "validation"),
    (TEST, "test"),
)
PAIRS = (
    ("images", "labels"),
    ("image", "label"),
    ("x", "y"),
    ("data", "target"),
    ("data", "labels"),
    ("features", "labels"),
    ("inputs", "labels"),
)
Header = tuple[tuple[int, ...], bool, np.dtype[Any]]


def accepts(source: Any) -> bool:
    """A file that ends in .npz or .npy."""
    return isinstance(source, Path) and source.is_file() and source.suffix.lower() in (".npz", ".npy")


def load(source: Path, options: Options) -> Raw:
    """The inputs and labels of a file, by the names of its arrays; `PAIRS` and `PARTS` are the names known.

    An array that a role names (`subject="person"`) is a column, too, also as `person_train` and `person_test`. Without
    names that are known: the only array of two to four axes, and the only one of one axis as its labels. Labels of
    several axes, which images begin with, are a label per image: [classes, rows] of [classes, rows, H, W]. Raises
    DataError where that leaves a doubt, where an array holds Python objects, and where the file is damaged.
    """
    if source.suffix.lower() == ".npy":
        values = _read_npy(source)
        name = "image" if len(values.shape) >= 3 else "x"
        columns = input_columns(values, name, str(source), key_of_file(source, "pixels"))
        return alone(RawTable(columns, plain_name(source), str(source)))
    with decoding(str(source)):
        archive = zipfile.ZipFile(source)
    with archive:
        return _load_npz(archive, source, options)


def _load_npz(archive: zipfile.ZipFile, path: Path, options: Options) -> Raw:
    members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
    keys = {key.lower(): key for key in members}
    headers = {key: _member_header(archive, member, path) for key, member in members.items()}
    parts: list[tuple[int, str, str | None]] = []
    for part, word in PARTS:
        for first, second in PAIRS:
            for inputs, labels in (
                (f"{first}_{word}", f"{second}_{word}"),
                (f"{word}_{first}", f"{word}_{second}"),
            ):
                if inputs in keys and all(keys[inputs] != taken for _, taken, _ in parts):
                    parts.append((part, keys[inputs], keys.get(labels)))
    if not parts:
        free = {key: header for key, header in headers.items() if key not in options.wanted}
        parts = [(TRAINING, *_only_pair(keys, free, path))]
    more = {(name, part): key for part, *_ in parts for name in options.wanted if (key := _beside(name, part, keys))}
    used = {key for _, *names in parts for key in names if key}
    more = {place: key for place, key in more.items() if key not in used and len(headers[key][0]) == 1}
    used |= set(more.values())
    ignored = {
        key: f"is no array of inputs or labels by its name; its shape is {headers[key][0]}"
        for key in members
        if key not in used
    }
    tables: list[tuple[int, RawTable]] = []
    for part, inputs, targets in parts:
        values = _read_member(archive, members[inputs], headers[inputs], path)
        axes = _row_axes(headers[inputs][0], headers[targets][0]) if targets else 1
        values = _as_rows(values, axes)
        name = "image" if len(values.shape) >= 3 else "x"
        columns = input_columns(values, name, f"{path}[{inputs!r}]", key_of_file(path, inputs, "pixels"))
        if targets:
            values = _as_rows(_read_member(archive, members[targets], headers[targets], path), axes)
            columns.append(RawColumn("label", values, where=f"{path}[{targets!r}]"))
        for (column, of), key in more.items():
            if of == part:
                values = _read_member(archive, members[key], headers[key], path)
                columns.append(RawColumn(column, values, where=f"{path}[{key!r}]"))
        tables.append(
            (part, RawTable(columns, plain_name(path), f"{path}[{inputs!r}]", ignored=ignored, label="label"))
        )
    return Raw(tables, plain_name(path), str(path))


def _beside(name: str, part: int, keys: dict[str, str]) -> str | None:
    """The array that holds the column `name` of a part: of that name alone, or with the part's word before or after."""
    words = [word for number, word in PARTS if number == part]
    places = [*(f"{name}_{word}" for word in words), *(f"{word}_{name}" for word in words)]
    return next((keys[place.lower()] for place in [*places, name] if place.lower() in keys), None)


def _row_axes(inputs: tuple[int, ...], labels: tuple[int, ...]) -> int:
    """Axes that count rows: all of the labels' where images have them, too, as in [classes, rows, H, W]."""
    return len(labels) if len(inputs) >= len(labels) + 2 and inputs[: len(labels)] == labels else 1


def _as_rows(values: Rows, axes: int) -> Rows:
    """`values` with the first `axes` axes as one."""
    if axes == 1:
        return values
    shape = (int(np.prod(values.shape[:axes])), *values.shape[axes:])
    if isinstance(values, FileRows):
        return FileRows(values.path, shape, values.dtype, values.offset)
    return np.asarray(values).reshape(shape)


def _only_pair(keys: dict[str, str], headers: dict[str, Header], path: Path) -> tuple[str, str | None]:
    for inputs, labels in PAIRS:
        if inputs in keys and keys[inputs] in headers:
            return keys[inputs], keys.get(labels)
    arrays = [key for key, (shape, _, _) in headers.items() if 2 <= len(shape) <= 4]
    labels_ = [key for key, (shape, _, _) in headers.items() if len(shape) == 1]
    if len(arrays) == 1 and len(labels_) <= 1:
        return arrays[0], labels_[0] if labels_ else None
    shown = ", ".join(f"{key} {shape}" for key, (shape, _, _) in headers.items()) or "nothing"
    raise DataError(
        f"{path} holds {shown}: which are inputs and which labels? Allowed names are x_train, y_train, x_test and "
        "y_test; images and labels; x and y; data and target. Save it so, or pass the arrays: read((x, y))."
    )


def _header(file: IO[bytes], name: str, path: Path) -> Header:
    where = str(path) if name == path.name else f"{path}: {name}"
    with decoding(where, "Save it again with numpy.savez.", fault="is no NumPy array"):
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise DataError(
            f"{where} holds Python objects, which only pickle can read, and pickle can run any code. Save it as "
            "numbers or strings: array.astype(str)."
        )
    if dtype.names:
        raise DataError(f"{where} holds records with the fields {dtype.names}; save each field as its own array.")
    need_of(shape, dtype, where)
    return tuple(shape), fortran, dtype


def _member_header(archive: zipfile.ZipFile, member: str, path: Path) -> Header:
    with _opened(archive, member, path) as file:
        shape, fortran, dtype = _header(file, member, path)
    # The directory of an archive may claim anything, too: what counts is the bytes that are packed.
    info, need = archive.getinfo(member), need_of(shape, dtype, f"{path}: {member}")
    packed = min(info.compress_size, path.stat().st_size)
    check_held(need, packed, f"{path}: {member}", packed=True)
    if need > max(ALWAYS, HIGHEST_RATIO * packed):
        raise DataError(
            f"{path}: {member} unpacks to {need:,} bytes; beyond {ALWAYS:,} an array may to {HIGHEST_RATIO} times its "
            f"{packed:,} packed bytes. If you trust it, unpack it yourself (unzip {path.name}) and read the .npy file."
        )
    return shape, fortran, dtype


def _read_member(archive: zipfile.ZipFile, member: str, header: Header, path: Path) -> Rows:
    with _opened(archive, member, path) as file:
        _header(file, member, path)
        return _from_stream(file, header, f"{path}: {member}", key_of_file(path, member))


@contextmanager
def _opened(archive: zipfile.ZipFile, member: str, path: Path) -> Iterator[IO[bytes]]:
    if archive.getinfo(member).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{path}: {member} is packed as numpy.savez packs nothing; save it again with numpy.savez.")
    with decoding(f"{path}: {member}"):
        file = archive.open(member)
    with file:
        yield file


def _from_stream(file: IO[bytes], header: Header, where: str, key: str) -> Rows:
    shape, fortran, dtype = header
    if not shape:
        raise DataError(f"{where} is a single number; an array of rows is needed.")
    if fortran and len(shape) > 1:
        need = need_of(shape, dtype, where)
        check_memory(2 * need, where, "an array by columns", "Save it by rows: numpy.ascontiguousarray(x).")
        with decoding(where):
            content = read_exactly(file, need)
        if len(content) < need:
            raise DataError(f"{where} is cut short. Download or save it again.")
        return np.frombuffer(content, dtype).reshape(shape, order="F")
    return keep(_chunks(file, shape, dtype, where), shape, dtype.newbyteorder("="), key)


def _chunks(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Iterator[NDArray[Any]]:
    row_bytes = prod(shape[1:]) * dtype.itemsize
    rows = max(1, CHUNK_BYTES // max(row_bytes, 1))
    for start in range(0, shape[0], rows):
        count = min(rows, shape[0] - start)
        with decoding(where):
            data = read_exactly(file, count * row_bytes)
        if len(data) < count * row_bytes:
            raise DataError(f"{where} is cut short: {shape[0]:,} rows are announced. Download or save it again.")
        yield np.frombuffer(data, dtype).reshape(count, *shape[1:])


def _read_npy(path: Path) -> Rows:
    with path.open("rb") as file:
        header = _header(file, path.name, path)
        shape, fortran, dtype = header
        need = need_of(shape, dtype, str(path))
        check_held(need, path.stat().st_size - file.tell(), str(path))
        if not fortran and need > IN_MEMORY:
            return open_rows(path, shape, dtype, file.tell())
        return _from_stream(file, header, str(path), key_of_file(path))
