"""Tables in files: CSV, TSV, JSON Lines, JSON and Parquet, each also gzipped; and folders of them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from manyways.data.sources import delimited, json_files, media
from manyways.data.sources.base import (
    Cells,
    Options,
    Raw,
    RawColumn,
    RawTable,
    Typed,
    alone,
    part_of,
    plain_name,
    suffix,
)
from manyways.data.sources.file_trees import walk
from manyways.data.sources.limits import decoding, read_whole
from manyways.data.sources.parquet import AGAIN, check_parquet
from manyways.errors import DataError

if TYPE_CHECKING:
    import polars as pl

ORDER = 40
DELIMITED = frozenset({".csv", ".tsv"})
JSON = frozenset({".json", ".jsonl", ".ndjson"})
PARQUET = frozenset({".parquet", ".pq"})
TABLES = DELIMITED | JSON | PARQUET


def accepts(source: Any) -> bool:
    """A table file; a folder with train/dev/test tables, a `metadata` table, or one table and no media."""
    if not isinstance(source, Path):
        return False
    if source.is_file():
        return suffix(source) in TABLES
    tables = tables_in(source)
    by_part = {part_of(path.name) for path in tables} - {None}
    if by_part or any(plain_name(path).lower() == "metadata" for path in tables):
        return True
    return len(tables) == 1 and not any(media.kind_of(path) for path in walk(source))


def load(source: Path, options: Options) -> Raw:
    """The table in a file; or the tables of a folder, their parts read off the file names."""
    if source.is_file():
        return alone(_load_file(source, options))
    tables = tables_in(source)
    named = [(part, path) for path in tables if (part := part_of(path.name)) is not None]
    if not named:
        chosen, *others = [path for path in tables if plain_name(path).lower() == "metadata"] or tables
        others += [path for path in tables if path not in (chosen, *others)]
        return _without(alone(_load_file(chosen, options)), others, f"{chosen.name} is the table of this folder")
    others = [path for path in tables if path not in {path for _, path in named}]
    return _without(_load_parts(named, source, options), others, "its name says no part: train, validation or test")


def _without(raw: Raw, others: list[Path], why: str) -> Raw:
    """`raw`, and that the tables in the `others` beside it were not read."""
    return replace(raw, ignored={path.name: why for path in others})


def _load_parts(named: list[tuple[int, Path]], source: Path, options: Options) -> Raw:
    if len(endings := {suffix(path) for _, path in named}) > 1:
        raise DataError(
            f"{source} names its parts in files of several forms ({', '.join(sorted(endings))}); one form is allowed. "
            "Give the files themselves: read('train.csv', test='test.csv')."
        )
    named.sort(key=lambda each: (each[0], each[1].name))
    if DELIMITED & endings:
        return alone(_load_delimited([path for _, path in named], options, source, [part for part, _ in named]))
    return Raw(((part, _load_file(path, options)) for part, path in named), source.name, str(source))


def tables_in(folder: Path) -> list[Path]:
    """The table files directly in `folder`, by name."""
    return sorted(path for path in folder.iterdir() if path.is_file() and suffix(path) in TABLES)


def _load_file(path: Path, options: Options) -> RawTable:
    if suffix(path) in DELIMITED:
        return _load_delimited([path], options, path, None)
    if suffix(path) in JSON:
        columns = [RawColumn(name, values) for name, values in json_files.read(path).items()]
    else:
        frame = _read_parquet(path)
        columns = [RawColumn(name, Typed(frame[name])) for name in frame.columns]
    return RawTable(columns, plain_name(path), str(path), folder=path.parent)


def _load_delimited(paths: list[Path], options: Options, source: Path, parts: list[int] | None) -> RawTable:
    """Files of strings as one table, so that a column is numbers in all of them or in none."""
    import polars as pl

    read = [delimited.read(path, options.header, options.names) for path in paths]
    frames = [each.frame for each in read]
    first = frames[0].columns
    unlabelled = [name for name in options.labels if name in first]
    for number, frame in enumerate(frames):
        absent = [pl.lit(None, pl.String).alias(name) for name in unlabelled if name not in frame.columns]
        frames[number] = frame.with_columns(absent)
    for path, frame in zip(paths, frames, strict=True):
        if set(frame.columns) != set(first):
            raise DataError(
                f"{path} has the columns {', '.join(frame.columns)}, but {paths[0]} has {', '.join(first)}; parts of "
                "one data set need the same columns. Correct the header, or read the files on their own."
            )
    whole = pl.concat([frame.select(first) for frame in frames], rechunk=True)
    columns = [RawColumn(name, Cells(whole[name], read[0].separator)) for name in whole.columns]
    part = None
    if parts is not None:
        part = np.repeat(np.asarray(parts, np.uint8), [len(frame) for frame in frames])
    headless, doubtful = read[0].headless, read[0].doubtful
    notes = {"first row": f"{headless}; if it names the columns: header=True"} if doubtful else {}
    folder = paths[0].parent
    return RawTable(columns, plain_name(source), str(source), part, folder, notes=notes, headless=headless)


def _read_parquet(path: Path) -> "pl.DataFrame":
    import polars as pl

    content = read_whole(path) if path.suffix.lower() == ".gz" else path
    check_parquet(content, path)
    with decoding(str(path), AGAIN, fault="cannot be read as Parquet"):
        return pl.read_parquet(content, glob=False)
