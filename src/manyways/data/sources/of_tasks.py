"""Several sets as one whose rows are of several tasks: a file per task in a folder, or sources by their task."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from manyways.data.phrases import listed_names
from manyways.data.sources import memory, tables
from manyways.data.sources.base import (
    PART_WORDS,
    Cells,
    Masks,
    Media,
    Options,
    Raw,
    RawColumn,
    RawTable,
    Typed,
    part_of,
    plain_name,
    suffix,
)
from manyways.data.sources.file_trees import is_hidden
from manyways.errors import DataError

ORDER = 5
LONGEST = 4096
"""Characters of the longest path that a system opens."""
PARTS = re.compile(rf"(?<![a-z0-9])({'|'.join(PART_WORDS)})(?![a-z0-9])", re.IGNORECASE)


def accepts(source: Any) -> bool:
    """A mapping from tasks to files or folders, to tables in memory, or to lists of files."""
    return isinstance(source, Mapping) and bool(source) and all(map(_is_source, source.values()))


def load(source: Mapping[str, Any], options: Options) -> Raw:
    """The tables of all tasks one under the other, with the columns that all of them have, and all labels.

    The task of each row is in the column that has this role, by default `task`; a label that a task lacks is missing on
    its rows. Raises DataError where a table lacks a
    column that is asked for, and where one has the column of the tasks and others do not.
    """
    column = options.task or "task"
    given_tables: list[tuple[str, int, RawTable]] = []
    for task, given in source.items():
        read = [(str(task), part, table) for each in _several(given) for part, table in _tables(each, options)]
        if not any(_rows(table) for _, _, table in read):
            raise DataError(f"The task {task!r} has no rows in {read[0][2].where}; leave it out.")
        given_tables += read
    names = [[each.name for each in table.columns] for _, _, table in given_tables]
    common = [name for name in names[0] if all(name in others for others in names)]
    labels = {name for name in options.labels if any(name in own for own in names)}
    for (_, _, table), own in zip(given_tables, names, strict=True):
        if lost := sorted(options.wanted - {column} - labels - set(own)):
            raise DataError(
                f"{table.where} has no column {lost[0]!r}, which is asked for; it has {listed_names(own)}. All tasks "
                "need it: rename a column there."
            )
    common += sorted(labels - set(common))
    everything = {name for own in names for name in own}
    ignored = dict.fromkeys(sorted(everything - set(common) - {column}), "not all tasks have it")
    whole = [(part, _of_task(table, common, column, task)) for task, part, table in given_tables]
    whole.sort(key=lambda each: each[0])  # training rows come first
    title = " and ".join(dict.fromkeys(map(str, source)))
    return Raw(whole, title if len(source) < 4 else f"{len(source)} tasks", whole[0][1].where, ignored)


def folder(source: Any, options: Options) -> Raw | None:
    """The tables of a folder with a file per task, where the role task names a column that they lack; else None.

    A task is called as its file without ending and part: translate-train.jsonl and translate-test.jsonl are one. A
    folder within is a task of its own.
    """
    place = Path(source).expanduser() if isinstance(source, str) and len(source) < LONGEST else source
    if options.task is None or not isinstance(place, Path) or "\0" in str(place) or not place.is_dir():
        return None
    files = tables.tables_in(place)
    folders = [path for path in sorted(place.iterdir()) if path.is_dir() and not is_hidden(path.name)]
    within = [path for path in folders if tables.tables_in(path)]
    if len(files) + len(within) < 2 or len(within) < len(folders) or (files and _have(files, options)):
        return None
    tasks: dict[str, list[Path]] = {}
    for path in files:
        tasks.setdefault(_task(path), []).append(path)
    for path in within:
        tasks.setdefault(path.name, []).append(path)
    return replace(load(tasks, options), name=place.name, source=str(place)) if len(tasks) > 1 else None


def _is_source(value: Any) -> bool:
    if isinstance(value, str | Path):
        return isinstance(value, Path) or suffix(Path(value)) in tables.TABLES or Path(value).expanduser().is_dir()
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, Path) for each in value)
    return isinstance(value, Mapping) or type(value).__name__ == "DataFrame"


def _several(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _tables(source: Any, options: Options) -> Iterator[tuple[int, RawTable]]:
    """The tables of one source of a task, each in its part: that of a file also by its name."""
    own = replace(options, task=None, wanted=options.wanted - {options.task or "task"})
    if not isinstance(source, str | Path):
        yield from memory.load(source, own).tables
        return
    place = Path(source).expanduser()
    if not place.exists() or not tables.accepts(place):
        raise DataError(
            f"{source} is no table of a task. Allowed are CSV, TSV, JSON Lines, JSON and Parquet files, folders with "
            "train and test files of these, and tables in memory."
        )
    by_name = part_of(place.name) if place.is_file() else None
    for part, table in tables.load(place, own).tables:
        yield part if by_name is None else by_name, table


def _have(files: list[Path], options: Options) -> bool:
    """True if the first of `files` has the column of the tasks: then they are read as any others."""
    return any(column.name == options.task for _, table in _tables(files[0], options) for column in table.columns)


def _task(path: Path) -> str:
    """The task that a file's name says, without the part and the marks around it."""
    name = re.sub(r"[-_. ]{2,}", "-", PARTS.sub("", plain_name(path))).strip("-_. ")
    if not name:
        raise DataError(
            f"{path} says no task beside its part. Call it by its task, such as translate-train.jsonl, or let the "
            "files of a task lie in a folder of its name."
        )
    return name


def _rows(table: RawTable) -> int:
    values = table.columns[0].values if table.columns else []
    if isinstance(values, Cells | Typed):
        return len(values.series)
    return len(values.items if isinstance(values, Media | Masks) else values)


def _of_task(table: RawTable, common: list[str], column: str, task: str) -> RawTable:
    """`table` with the columns `common` and one that names its task, unless it has that already."""
    columns = {each.name: each for each in table.columns}
    kept = [columns.get(name, RawColumn(name, [None] * _rows(table))) for name in common if name != column]
    named = columns.get(column, RawColumn(column, [task] * _rows(table), "category"))
    return replace(table, columns=[*kept, named])
