"""Values of the store's database, which may be damaged: held to what was written before anything is made of them."""

import sqlite3
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from manyways.checked_json import DEEPEST, Described, checked, described, parse
from manyways.data.columns import ids_from_text
from manyways.errors import StoreError
from manyways.lineage.store.bitmaps import is_bitmap

Built = TypeVar("Built")

DIGITS = 64
"""Hexadecimal digits of a SHA-256: what models and weights are known by."""
LARGEST = 1 << 32
"""Bytes that anything packed may unpack to: more than the positions of all rows that a store can number."""


class Damage(StoreError):
    """A value in the database is not what was written there."""


def missing_reference(where: str) -> Damage:
    """Damage: that what others refer to is not there."""
    return Damage(f"{where} is missing, and others refer to it.")


def key_of(db: sqlite3.Connection, table: str, digest: str) -> int:
    """The key of the row of `table` with this digest, which was put there before."""
    found = db.execute(f"SELECT id FROM {table} WHERE digest = ?", (digest,)).fetchone()
    if found is None:
        raise missing_reference(f"a row of {table}")
    return int(found[0])


def whole_number(value: Any, where: str, least: int = 0) -> int:
    """`value`, a whole number of `least` or more."""
    if not isinstance(value, int) or value < least:
        raise Damage(f"{where} must be a whole number of {least} or more, and is {_kind(value)}.")
    return value


def text_value(value: Any, where: str) -> str:
    """`value`, a text."""
    if not isinstance(value, str):
        raise Damage(f"{where} must be text, and is {_kind(value)}.")
    return value


def digest(value: Any, where: str) -> str:
    """`value`, 64 hexadecimal digits: so it names no folder but its own."""
    if not isinstance(value, str) or len(value) != DIGITS or set(value) - set("0123456789abcdef"):
        raise Damage(f"{where} must be {DIGITS} hexadecimal digits, and is {_kind(value)}.")
    return value


def absolute_path(value: Any, where: str) -> str:
    """`value`, a path in full."""
    if not Path(text_value(value, where)).is_absolute():
        raise Damage(f"{where} must be a path in full, and is {_kind(value)}.")
    return str(value)


def blob(value: Any, where: str) -> bytes:
    """`value`, bytes."""
    if not isinstance(value, bytes):
        raise Damage(f"{where} must be bytes, and is {_kind(value)}.")
    return value


def json_object(value: Any, where: str, deepest: int = DEEPEST) -> Described:
    """The JSON object in the text `value`, nested up to `deepest` levels."""
    return described(parse(text_value(value, where), where, Damage, deepest), where, Damage)


def json_objects(value: Any, where: str) -> list[dict[str, Any]]:
    """The JSON objects listed in the text `value`."""
    listed = checked(parse(text_value(value, where), where, Damage), list, where, Damage)
    return [checked(each, dict, f"entry {at} of {where}", Damage) for at, each in enumerate(listed)]


def receipt_text(value: Any, where: str) -> str:
    """The receipt in the text `value`, as far as it is read again: an object with the ids of rows."""
    said = json_object(value, where)
    built(ids_from_text, said.all("rows", str), f"`rows` of {where}")
    said.objects("models")
    return str(value)


def built(make: Callable[[Any], Built], value: Any, where: str) -> Built:
    """Return `make(value)`. Raises Damage where `value` has not the shape that it takes."""
    try:
        return make(value)
    except Damage:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Damage(f"{where} cannot be read: {error!r}.") from None


def decompressed(value: Any, where: str) -> bytes:
    """The bytes that were compressed as `value`."""
    inflate = zlib.decompressobj()
    try:
        content = inflate.decompress(blob(value, where), LARGEST)
    except zlib.error as error:
        raise Damage(f"{where} is damaged: {error}.") from None
    if not inflate.eof or inflate.unused_data:
        raise Damage(f"{where} is damaged: it is cut off, or goes on behind its end.")
    return content


def numbers(value: Any, where: str, dtype: str) -> NDArray[Any]:
    """The compressed numbers `value`, of type `dtype`."""
    content = decompressed(value, where)
    if len(content) % np.dtype(dtype).itemsize:
        raise Damage(f"{where} is damaged: it ends in the middle of a number.")
    return np.frombuffer(content, dtype)


def row_set(value: Any, where: str) -> BitMap:
    """The set of row numbers in the bytes `value`."""
    if not is_bitmap(blob(value, where)):
        raise Damage(f"{where} is no set of rows.")
    return BitMap.deserialize(value)


def known_rows(numbers: NDArray[np.int64], count: int, where: str) -> NDArray[np.int64]:
    """Numbers of rows, of which there are `count`."""
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < count):
        raise Damage(f"{where} names rows beyond the {count:,} that the store knows.")
    return numbers


def _kind(value: Any) -> str:
    """The type of a value in words, without its content, which may be long, or somebody's name."""
    if value is None:
        return "nothing"
    kinds: Mapping[type, str] = {bytes: "bytes", str: "text", int: "a whole number", float: "a number"}
    said = kinds.get(type(value), type(value).__name__)
    return f"{said} of {len(value):,}" if isinstance(value, str | bytes) else f"{said}, {value}"
