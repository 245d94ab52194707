"""The data in a receipt: which rows of a source a model was learned from, packed, and laid out again."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.origin import Origin
from manyways.data.origin_reader import read_origin
from manyways.errors import StoreError
from manyways.lineage.store.manifest import Manifest


def restored_data(saved: Mapping[str, Any], source: Data, gone: NDArray[np.uint64]) -> Data:
    """The data that a receipt tells of, out of the rows of `source` without the rows `gone`.

    Raises StoreError where they are not there as they were.
    """
    rest = _used_rows(saved, source.without(gone))
    if lost := [name for name in saved["roles"] if tuple(saved["roles"][name]) != tuple(rest.roles.get(name, ()))]:
        raise StoreError(
            f"{source.name} has the role {lost[0]} on other columns than the receipt says: "
            f"{', '.join(rest.roles.get(lost[0], ())) or 'none'}, not {', '.join(saved['roles'][lost[0]])}."
        )
    manifest = _manifest_in(saved, rest)
    return manifest.laid_out(rest, manifest.numbers)


def read_source(saved: Mapping[str, Any]) -> Data:
    """The rows that the data in a receipt came from, as they are now. Raises ManywaysError where they are no more."""
    origin = Origin.from_json(saved["origin"])
    data = read_origin(origin)
    added = set() if origin.steps else data.columns.keys() - origin.columns.keys()
    if added or origin.columns.keys() - data.columns.keys():
        raise StoreError(
            f"{origin.source} has the columns {', '.join(data.columns)}, and the receipt says "
            f"{', '.join(origin.columns) or 'none'}."
        )
    return data


def _manifest_in(saved: Mapping[str, Any], source: Data) -> Manifest:
    """The manifest in a receipt, of the rows of `source` in their order; they must be as many."""
    name, count = saved["name"], len(source.part)
    if count != saved["table"]:
        raise StoreError(
            f"{source.source} has {count:,} rows without those that were forgotten, and the model was learned from "
            f"{saved['table']:,}. Give the data as it was: --data."
        )
    part = np.frombuffer(decoded_bytes(saved["part"], count, f"`part` of {name}"), np.uint8)
    packed = np.frombuffer(decoded_bytes(saved["visible"], -(-count // 8), f"`visible` of {name}"), np.uint8)
    if (part > 2).any():
        raise StoreError(f"`part` of {name} in the receipt has {int(part.max())}; 0, 1 and 2 are parts.")
    return Manifest(
        name=name,
        origin=Origin.from_json(saved["origin"]) if saved["origin"] else None,
        roles=saved["roles"],
        fingerprint=saved["fingerprint"],
        numbers=np.arange(count),
        part=part,
        visible=np.unpackbits(packed, count=count).astype(bool),
        chosen=_chosen(saved, count),
    )


def _chosen(saved: Mapping[str, Any], count: int) -> NDArray[np.int64] | None:
    if saved["chosen"] is None:
        return None
    where = f"`chosen` of {saved['name']}"
    # A selection may repeat rows, but no training needs each a thousand times.
    blob = decoded_bytes(saved["chosen"], None, where, most=4000 * max(1, count))
    if len(blob) % 4:
        raise StoreError(f"{where} in the receipt is damaged: it has {len(blob)} bytes.")
    rows = np.cumsum(np.frombuffer(blob, "<i4"), dtype=np.int64)
    if len(rows) and not (rows.min() >= 0 and rows.max() < count):
        raise StoreError(f"{where} in the receipt names rows beyond the {count:,} that there are.")
    return rows


def _used_rows(saved: Mapping[str, Any], source: Data) -> Data:
    """Those rows of `source` that a receipt's data are, where the source has the rows that it had then."""
    if saved["used"] is None:
        return source
    count, _, bits = saved["used"].partition(":")
    where = f"`used` of {saved['name']}"
    if not (count.isascii() and count.isdigit() and len(count) < 16):
        raise StoreError(f"{where} in the receipt is damaged: it begins with no number of rows.")
    if int(count) != len(source.part):
        return source  # rows that had been forgotten before may have left it since
    packed = np.frombuffer(decoded_bytes(bits, -(-int(count) // 8), where), np.uint8)
    mask = np.unpackbits(packed, count=int(count)).astype(bool)
    return source.without(source.all_ids[~mask])


def decoded_bytes(text: str, size: int | None, where: str, most: int = 0) -> bytes:
    """The bytes in base64 of zlib, `size` of them, or at most `most`. Raises StoreError where it holds others."""
    limit = most if size is None else size
    try:
        machine = zlib.decompressobj()
        content = machine.decompress(base64.b64decode(text, validate=True), limit + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise StoreError(f"{where} in the receipt is damaged: {error}.") from None
    if len(content) > limit or (size is not None and len(content) != size) or not machine.eof:
        raise StoreError(f"{where} in the receipt is damaged: it holds not {limit:,} bytes, as its rows need.")
    return content
