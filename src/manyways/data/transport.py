"""A table as a folder, so that another process can open it without it being sent. No pickle."""

import json
from collections.abc import Mapping
from functools import partial
from math import prod
from mmap import mmap
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from manyways import checked_json
from manyways.checked_json import Described
from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.environments import environment_from_json
from manyways.data.kinds import KINDS
from manyways.data.sources.limits import brief, decoding
from manyways.data.storage import FileRows, Rows, chunks_of, open_rows, row_bytes, write_rows
from manyways.data.window_reading import WindowReading
from manyways.errors import DataError
from manyways.permissions import private_folder, tighten

DESCRIPTION = "table.json"
ARRAYS = {
    "part": (np.uint8, (1,)),
    "visible": (np.bool_, (1, 2)),
    "rows": (np.int64, (1,)),
    "all_ids": (np.uint64, (2,)),
}
"""The arrays beside the columns, with their types and how many axes they may have."""


def save_table(data: Data, folder: Path, *, whole: bool = False) -> Path:
    """Write `data` into `folder`; columns that lie in a file already are referred to, unless it is to hold the `whole`.

    A folder that holds the whole may be moved, and read on another machine.
    """
    private_folder(folder)
    save = partial(_save_array, whole=whole)
    columns = [
        {
            "name": column.name,
            "kind": column.kind,
            "rate": column.rate,
            "white": column.white,
            "windows": None if column.windows is None else column.windows.to_json(),
            "absent": None if column.absent is None else save(column.absent, folder / f"absent-{place}"),
            "sizes": None if column.sizes is None else save(column.sizes, folder / f"sizes-{place}"),
            **_save_values(column, folder / f"column-{place}", whole),
        }
        for place, column in enumerate(data.columns.values())
    ]
    arrays = {"part": data.part, "visible": data.visible, "rows": data.rows, "all_ids": data.all_ids}
    description = {
        "columns": columns,
        "roles": {role: list(names) for role, names in data.roles.items()},
        "name": data.name,
        "source": data.source,
        "ignored": dict(data.ignored),
        "arrays": {name: save(array, folder / name) for name, array in arrays.items()},
        "allowance": data.allowance,
        "guessed": None if data.guessed is None else save(data.guessed, folder / "guessed"),
    }
    (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
    return tighten(folder)


def load_table(folder: Path, environment: Mapping[str, Any] | None = None) -> Data:
    """The table that `save_table` wrote. Raises DataError where its description or a file is damaged or missing.

    environment: that of the data, as `Environment.to_json` has it; it may name a module to import, and so is never
    written to a file.
    """
    where = f"the table {folder}"
    saved = checked_json.read(folder / DESCRIPTION, where, DataError)
    columns = {column.name: column for column in (_column(each, folder) for each in saved.objects("columns"))}
    places = saved.object("arrays")
    arrays: dict[str, Any] = {name: np.array(_load_array(places.object(name), folder)) for name in ARRAYS}
    lengths = {len(arrays[name]) for name in ("part", "visible", "all_ids")} | {len(each) for each in columns.values()}
    rows, wrong = arrays["rows"], [name for name, (kind, axes) in ARRAYS.items() if not _fits(arrays[name], kind, axes)]
    guessed = None if saved.members.get("guessed") is None else np.array(_load_array(saved.object("guessed"), folder))
    if guessed is not None and not (_fits(guessed, np.bool_, (1,)) and len(guessed) in lengths):
        wrong.append("guessed")
    if len(lengths) > 1 or wrong or not ((rows >= 0) & (rows < max(lengths))).all():
        raise DataError(f"{where} is damaged: its columns, parts and rows do not fit each other. Make it again.")
    roles = {role: tuple(saved.object("roles").all(role, str)) for role in saved.get("roles", dict)}
    if lost := [name for names in roles.values() for name in names if name not in columns]:
        raise DataError(f"{where} is damaged: it has no column {brief(lost[0])} for a role. Make it again.")
    return Data(
        columns=columns,
        roles=roles,
        name=saved.get("name", str),
        source=saved.get("source", str),
        ignored=saved.get("ignored", dict),
        environment=environment_from_json(environment) if environment else None,
        allowance=saved.get("allowance", int, None),
        guessed=guessed,
        **arrays,
    )


def _fits(array: NDArray[Any], kind: Any, axes: tuple[int, ...]) -> bool:
    return array.dtype == kind and array.ndim in axes


def _column(saved: Described, folder: Path) -> Column:
    name, kind = saved.get("name", str), saved.get("kind", str)
    if kind not in KINDS:
        raise DataError(f"`kind` of {saved.where} must be one of {', '.join(KINDS)}, and is {brief(kind)}.")
    absent = None if saved.members.get("absent") is None else np.array(_load_array(saved.object("absent"), folder))
    values = _load_values(saved, folder)
    if absent is not None and not (_fits(absent, np.bool_, (1,)) and len(absent) == len(values)):
        raise DataError(f"{saved.where} is damaged: what it lacks does not fit its values. Make it again.")
    sizes = None if saved.members.get("sizes") is None else np.array(_load_array(saved.object("sizes"), folder))
    if sizes is not None and not (_fits(sizes, np.int32, (2,)) and sizes.shape == (len(values), 2)):
        raise DataError(f"{saved.where} is damaged: the sizes of its images do not fit them. Make it again.")
    windows = saved.get("windows", dict, None)
    return Column(
        name,
        kind,
        values,
        saved.get("rate", int, None),
        absent,
        saved.get("white", float, None),
        sizes=sizes,
        windows=None if windows is None else WindowReading.from_json(windows),
    )


def _save_values(column: Column, path: Path, whole: bool) -> dict[str, Any]:
    values = column.values
    if values.dtype.kind in "OUS":
        path.write_text(json.dumps(np.asarray(values[np.arange(len(values))]).tolist()), encoding="utf-8")
        return {"objects": path.name if whole else str(path)}
    return {"array": _save_array(values, path, whole)}


def _load_values(saved: Described, folder: Path) -> Rows:
    if "objects" not in saved.members:
        return _load_array(saved.object("array"), folder)
    path = folder / saved.get("objects", str)
    with decoding(str(path), "Make the table again."):
        values = json.loads(path.read_text(encoding="utf-8"))
    return as_objects(checked_json.checked(values, list, str(path), DataError))


def _save_array(values: Rows, path: Path, whole: bool) -> dict[str, Any]:
    place = {"shape": list(values.shape), "dtype": values.dtype.str}
    if isinstance(values, FileRows) and not whole:
        return {**place, "path": str(values.path), "offset": values.offset}
    # A slice of a mapping has an array for a base, and its offset is not its own.
    if isinstance(values, np.memmap) and isinstance(cast("object", values.base), mmap) and not whole:
        return {**place, "path": str(values.filename), "offset": values.offset}
    write_rows(
        path, (values[rows] for rows in chunks_of(len(values), row_bytes=row_bytes(values))), values.shape, values.dtype
    )
    return {**place, "path": path.name if whole else str(path), "offset": 0}


def _load_array(place: Described, folder: Path) -> Rows:
    path, shape, offset = folder / place.get("path", str), tuple(place.all("shape", int)), place.get("offset", int)
    with decoding(f"`dtype` of {place.where}", "Make the table again."):
        dtype = np.dtype(place.get("dtype", str))
    with decoding(f"`path` of {place.where}", "Make the table again."):  # a name may be too long to be looked for
        there = path.is_file()
    if dtype.hasobject or dtype.kind not in "iufbM" or not there or not shape or offset < 0:
        raise DataError(f"{place.where} is damaged: {path} holds no such array. Make the table again.")
    if min(shape) < 0 or prod(shape) * dtype.itemsize + offset > path.stat().st_size:
        raise DataError(f"{place.where} is damaged: {path} holds less than the shape {shape}. Make the table again.")
    return open_rows(path, shape, dtype, offset)
