"""Residual data about rows outside of the store, in Manyways' home: caches of encoded rows, and comparisons."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from manyways.data.columns import places_of
from manyways.data.storage import home_folder
from manyways.lineage.store.row_registry import Ids

KEPT = "population-"
"""Files of the cache that hold no row, but how this machine computes: the same bits come of the same way."""


def delete_cache() -> int:
    """Delete all files of the cache that may hold rows, which are made again when needed; gives their number."""
    count = 0
    for path in _inside(home_folder() / "cache"):
        if not path.name.startswith(KEPT):
            count += 1
            _delete(path)
    return count


def delete_comparisons(ids: Ids) -> list[str]:
    """Delete what comparisons keep of the rows `ids` and of models that learned from them; gives their names."""
    gone = []
    for folder in [*_inside(home_folder() / "comparisons"), *_inside(home_folder() / "comparisons" / "starts")]:
        if folder.is_dir() and folder.name != "starts" and _holds(folder, ids):
            gone.append(folder.name)
            _delete(folder)
    return gone


def _holds(folder: Path, ids: Ids) -> bool:
    """True if a comparison's table, or the lineage of a model that it kept, has any of `ids`, or is damaged."""
    from safetensors.numpy import load_file

    try:
        for table in folder.rglob("table.json"):
            saved = json.loads(table.read_text(encoding="utf-8"))["arrays"]["all_ids"]
            row_ids = np.fromfile(saved["path"], np.dtype(saved["dtype"]), offset=saved["offset"]).reshape(
                saved["shape"]
            )
            if (places_of(ids, row_ids) >= 0).any():
                return True
        for rows in folder.rglob("rows.safetensors"):
            if any((places_of(ids, row_ids.view(np.uint64)) >= 0).any() for row_ids in load_file(rows).values()):
                return True
    except (OSError, ValueError, KeyError):
        return True
    # Checkpoints of a training that was interrupted say nothing of their rows.
    return any(folder.rglob("checkpoint.safetensors"))


def _inside(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir()) if folder.is_dir() else [])


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
