"""Ways in: a module per family of sources, found in this folder and by entry points.

A source module has `ORDER` (lower is asked first), `accepts(source) -> bool` and `load(source, options) ->
Raw`. A string reaches them as a `Path` where such a path exists, and as it is elsewhere.
"""

import importlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from manyways.data.near import near_path
from manyways.data.sources.base import Options, Raw
from manyways.data.sources.file_trees import files_below
from manyways.errors import DataError, did_you_mean
from manyways.registry import load, modules_in, points_of

LONGEST_NAME = 4096
"""Characters of the longest path that a system opens; whatever is longer names nothing."""


class Source(Protocol):
    """The functions of a source module."""

    ORDER: int

    def accepts(self, source: Any) -> bool: ...

    def load(self, source: Any, options: Options) -> Raw: ...


@cache
def all_sources() -> tuple[Source, ...]:
    """Every source module of this folder and of the entry-point group `manyways.sources`, in the order of asking."""
    modules = [*map(importlib.import_module, modules_in(__name__)), *map(load, points_of("sources"))]
    readers = (cast("Source", module) for module in modules if hasattr(module, "accepts"))
    return tuple(sorted(readers, key=lambda reader: reader.ORDER))


@contextmanager
def unreadable(source: Any) -> Iterator[None]:
    """Raise DataError in place of what the system says of files that cannot be read."""
    try:
        yield
    except OSError as error:
        if not isinstance(source, str | Path):
            raise
        raise DataError(
            f"{error.filename or source} cannot be read: {error.strerror or error}. Check its name, and whether you "
            "may read it."
        ) from error


@contextmanager
def renamed(alias: tuple[str, str] | None) -> Iterator[None]:
    """Put the second of `alias` in place of the first in the messages of DataErrors."""
    try:
        yield
    except DataError as error:
        if alias is None:
            raise
        raise DataError(str(error).replace(*alias)) from error


def opened(source: Any, options: Options) -> Raw:
    """The raw tables that `source` holds. Raises DataError where nothing here can read it."""
    source = _place(source)
    if isinstance(source, Path):
        if source.is_symlink() and not source.exists():
            raise DataError(f"{source} is a link to {str(source.readlink())!r}, which is not there. Mend the link.")
        if not source.exists():
            raise DataError(_refusal(source))
        if not (source.is_file() or source.is_dir()):
            raise DataError(
                f"{source} is a pipe or a device, which can be read only once, or never ends. Save it to a file first: "
                "cat … > data.csv."
            )
    for reader in all_sources():
        if reader.accepts(source):
            return reader.load(source, options)
    raise DataError(_refusal(source))


def _place(source: Any) -> Any:
    """`source` as a path where there is a file or folder of that name, or a link."""
    if isinstance(source, str):
        path = Path(source).expanduser() if len(source) <= LONGEST_NAME and "\0" not in source else None
        return path if path is not None and (path.exists() or path.is_symlink()) else source
    return source


def _refusal(source: Any) -> str:
    from manyways.data.environments import known_ids
    from manyways.data.sources.builtin import BUILT_IN
    from manyways.data.sources.hub import HUB, NAME

    allowed = (
        "Allowed are a CSV, TSV, JSON Lines, JSON or Parquet file (also .gz), a .txt file of running text, a folder, "
        ".zip or .tar of images or sounds in a folder per class, or of pictures with boxes (COCO JSON, VOC XML, YOLO "
        "text) or masks (folders called images and masks), parallel text such as train.de beside train.en, IDX, .npz "
        "and .npy files, NumPy arrays, PyTorch tensors, pandas and polars frames, Hugging Face data sets, one on the "
        "Hub such as 'hub:owner/name', an environment such as 'CartPole-v1', and the built-in "
    )
    names = ", ".join(repr(name) for name in BUILT_IN)
    if not isinstance(source, str | Path):
        kind = f"{type(source).__module__}.{type(source).__qualname__}"
        return f"Data cannot be read from an object of type {kind}. {allowed}{names}."
    path = Path(source).expanduser()
    if len(str(source)) > LONGEST_NAME:
        return f"There is no file or folder whose name has {len(str(source)):,} characters: {str(source)[:60]!r}…"
    if not path.exists():
        near = near_path(path)
        hint = did_you_mean(str(source), BUILT_IN) or (f" Did you mean {str(near)!r}?" if near else "")
        hint = hint or did_you_mean(str(source), known_ids())
        if NAME.fullmatch(str(source)):
            hint += f" A data set on the Hugging Face Hub is written {HUB}{source}."
        missing = f"There is no file or folder {str(source)!r}, and no built-in data of that name."
        return f"{missing}{hint} {allowed}{names}."
    if path.is_dir():
        content = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
        endings = Counter(file.suffix.lower() for file in files_below(path))
        shown = ", ".join(f"{count:,} {ending or 'without an ending'}" for ending, count in endings.most_common(5))
        content += f" (files: {shown})" if endings else ""
        return f"The folder {path} has no layout that can be read; it holds {content}. {allowed}{names}."
    return f"The file {path} has a form that cannot be read. {allowed}{names}."
