"""Ways in: a module per family of sources, found by walking this folder.

A source module has `ORDER` (lower is asked first), `accepts(source) -> bool` and `load(source, options) ->
Table`. A string reaches them as a `Path` where such a path exists, and as it is elsewhere.
"""

import importlib
import pkgutil
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from manyways.data.near import near_path
from manyways.data.roles import did_you_mean
from manyways.data.sources.base import Options, Table
from manyways.data.sources.file_trees import files_below
from manyways.errors import DataError


class Source(Protocol):
    """What a source module offers."""

    ORDER: int

    def accepts(self, source: Any) -> bool: ...

    def load(self, source: Any, options: Options) -> Table: ...


@cache
def all_sources() -> tuple[Source, ...]:
    """Every source module in this folder, in the order in which they are asked."""
    found = (importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__))
    return tuple(sorted((cast("Source", m) for m in found if hasattr(m, "accepts")), key=lambda m: m.ORDER))


def load(source: Any, options: Options) -> Table:
    """The table that `source` holds. Raises DataError where nothing here can read it."""
    if isinstance(source, str) and Path(source).expanduser().exists():
        source = Path(source).expanduser()
    if isinstance(source, Path) and not source.exists():
        raise DataError(_refusal(source))
    if isinstance(source, Path) and not (source.is_file() or source.is_dir()):
        raise DataError(
            f"{source} is a pipe or a device, which can be read only once, and has no ending that says its form. Save "
            "it to a file first: cat … > data.csv."
        )
    for each in all_sources():
        if each.accepts(source):
            return each.load(source, options)
    raise DataError(_refusal(source))


def _refusal(source: Any) -> str:
    from manyways.data.environments import known_ids
    from manyways.data.sources.builtin import BUILT_IN
    from manyways.data.sources.hub import HUB, NAME

    allowed = (
        "Allowed are a CSV, TSV, JSON Lines, JSON or Parquet file (also .gz), a .txt file of running text, a folder or "
        ".zip of images or sounds in a folder per class, IDX, .npz and .npy files, NumPy arrays, PyTorch tensors, "
        "pandas and polars frames, Hugging Face data sets, one on the Hub such as 'hub:owner/name', an environment "
        "such as 'CartPole-v1', and the built-in "
    )
    names = ", ".join(repr(name) for name in BUILT_IN)
    if not isinstance(source, str | Path):
        kind = f"{type(source).__module__}.{type(source).__qualname__}"
        return f"Data cannot be read from an object of type {kind}. {allowed}{names}."
    path = Path(source).expanduser()
    if not path.exists():
        near = near_path(path)
        hint = did_you_mean(str(source), BUILT_IN) or (f" Did you mean {str(near)!r}?" if near else "")
        hint = hint or did_you_mean(str(source), known_ids())
        if NAME.fullmatch(str(source)):
            hint += f" A data set on the Hugging Face Hub is written {HUB}{source}."
        missing = f"There is no file or folder {str(source)!r}, and no built-in data of that name."
        return f"{missing}{hint} {allowed}{names}."
    if path.is_dir():
        held = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        endings = Counter(file.suffix.lower() for file in files_below(path))
        shown = ", ".join(f"{count:,} {ending or 'without an ending'}" for ending, count in endings.most_common(5))
        held += f" (files: {shown})" if endings else ""
        return f"The folder {path} has no layout that can be read; it holds {held}. {allowed}{names}."
    return f"The file {path} has a form that cannot be read. {allowed}{names}."
