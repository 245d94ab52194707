"""A table as a folder, so that another process can open it without it being sent. No pickle."""

import json
from collections.abc import Mapping
from mmap import mmap
from pathlib import Path
from typing import Any, cast

import numpy as np

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.environments import environment_from_json
from manyways.data.storage import FileRows, Rows, chunks_of, open_rows, row_bytes, write_rows
from manyways.permissions import private_folder, tighten

DESCRIPTION = "table.json"


def save_table(data: Data, folder: Path) -> Path:
    """Write `data` into `folder`; columns that lie in a file already are referred to, not copied."""
    private_folder(folder)
    columns = [
        {
            "name": column.name,
            "kind": column.kind,
            "rate": column.rate,
            "white": column.white,
            "absent": None if column.absent is None else _save_array(column.absent, folder / f"absent-{at}"),
            **_save_values(column, folder / f"column-{at}"),
        }
        for at, column in enumerate(data.columns.values())
    ]
    arrays = {"part": data.part, "visible": data.visible, "rows": data.rows, "all_ids": data.all_ids}
    description = {
        "columns": columns,
        "roles": {role: list(names) for role, names in data.roles.items()},
        "name": data.name,
        "source": data.source,
        "ignored": dict(data.ignored),
        "arrays": {name: _save_array(array, folder / name) for name, array in arrays.items()},
    }
    (folder / DESCRIPTION).write_text(json.dumps(description), encoding="utf-8")
    return tighten(folder)


def load_table(folder: Path, environment: Mapping[str, Any] | None = None) -> Data:
    """The table that `save_table` wrote.

    environment: that of the data, as `Environment.to_json` has it; it may name a module to import, and so is never
    written to a file.
    """
    saved = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    columns = {each["name"]: _column(each) for each in saved["columns"]}
    arrays: dict[str, Any] = {name: np.array(_load_array(place)) for name, place in saved["arrays"].items()}
    return Data(
        columns=columns,
        roles={role: tuple(names) for role, names in saved["roles"].items()},
        name=saved["name"],
        source=saved["source"],
        ignored=saved["ignored"],
        environment=environment_from_json(environment) if environment else None,
        **arrays,
    )


def _column(saved: dict[str, Any]) -> Column:
    absent = None if saved["absent"] is None else np.array(_load_array(saved["absent"]))
    return Column(saved["name"], saved["kind"], _load_values(saved), saved["rate"], absent, saved["white"])


def _save_values(column: Column, path: Path) -> dict[str, Any]:
    values = column.values
    if values.dtype.kind in "OUS":
        path.write_text(json.dumps(np.asarray(values[np.arange(len(values))]).tolist()), encoding="utf-8")
        return {"objects": str(path)}
    return {"array": _save_array(values, path)}


def _load_values(saved: dict[str, Any]) -> Rows:
    if "objects" not in saved:
        return _load_array(saved["array"])
    values = json.loads(Path(saved["objects"]).read_text(encoding="utf-8"))
    out = np.empty(len(values), object)
    out[:] = values
    return out


def _save_array(values: Rows, path: Path) -> dict[str, Any]:
    place = {"shape": list(values.shape), "dtype": values.dtype.str}
    if isinstance(values, FileRows):
        return {**place, "path": str(values.path), "offset": values.offset}
    # A slice of a mapping has an array for a base, and its offset is not its own.
    if isinstance(values, np.memmap) and isinstance(cast("object", values.base), mmap):
        return {**place, "path": str(values.filename), "offset": values.offset}
    write_rows(
        path, (values[rows] for rows in chunks_of(len(values), each=row_bytes(values))), values.shape, values.dtype
    )
    return {**place, "path": str(path), "offset": 0}


def _load_array(place: dict[str, Any]) -> Rows:
    return open_rows(Path(place["path"]), tuple(place["shape"]), np.dtype(place["dtype"]), place["offset"])
