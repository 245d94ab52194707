"""Folders of image or sound files: a folder per class, `train` and `test` above them, or names that tell."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from manyways.data.categories import as_objects
from manyways.data.parts import TRAINING
from manyways.data.phrases import count_of
from manyways.data.sources import media
from manyways.data.sources.base import PART_WORDS, Options, RawColumn, Table, table_of
from manyways.data.sources.file_trees import files_below, is_hidden, loops_below, unread, walk
from manyways.data.sources.frames import columns_of
from manyways.data.sources.join import joined
from manyways.data.storage import loaded
from manyways.errors import DataError, ParameterError

ORDER = 60
UNLABELLED = frozenset({"unlabelled", "unlabeled"})
"""A class folder of this name holds rows whose label is missing."""

LAYOUTS = (
    "Allowed are a folder per class (cats/1.png), parts above them (train/cats/1.png, test/cats/2.png), a folder named "
    "unlabelled for files without a class, a metadata.csv with the columns file_name and label, or names that tell: "
    'label_pattern=r"(?P<label>\\d)_(?P<speaker>\\w+)_.*"'
)


def accepts(source: Any) -> bool:
    """A folder with image or sound files at any depth."""
    return isinstance(source, Path) and source.is_dir() and any(media.kind_of(path) for path in walk(source))


def load(source: Path, options: Options) -> Table:
    """The files, sorted by name, as a column `image` or `audio`; the class folder's name as the column
    `label`.

    The class is the first folder below the part. A folder called train that holds files itself, beside others that do,
    is a class of that name. With `label_pattern` each named group becomes a column instead. Files that are neither
    images nor sounds are counted in `ignored`, by their ending. Raises DataError for other layouts, and for images and
    sounds side by side.
    """
    root = _root(source, deeper=options.label_pattern is not None)
    table = _load(root, options, source)
    what = "images" if any(column.kind == "image" for column in table.columns.values()) else "sounds"
    files = files_below(root)
    left = unread(files, [path for path in files if media.kind_of(path)], root, what)
    back = {path.relative_to(root).as_posix(): "it is a link to a folder above it" for path in loops_below(root)}
    return replace(table, ignored={**table.ignored, **left, **back})


def _load(root: Path, options: Options, source: Path) -> Table:
    named = [child for child in _folders(root) if child.name.lower() in PART_WORDS]
    if not named:
        return _without_lone_class(_load_part(root, root, options, source))
    if options.label_pattern is None and _are_classes(named, root):
        table = _load_part(root, root, options, source)
        notes = {child.name: "the folder is taken for a class, as those beside it are" for child in named}
        return replace(table, notes={**table.notes, **notes})
    parts = [(PART_WORDS[child.name.lower()], child) for child in named]
    names = ", ".join(sorted(child.name for child in named))
    if outside := [path for path in _media_in(root) if not any(child in path.parents for child in named)]:
        raise DataError(
            f"{_strays(outside, root, f'the parts {names}')} A folder of such a name is taken for a part of the data; "
            "if it is a class, let its files lie in it, as those of the other classes do, or give it another name."
        )
    tables: list[tuple[int, Table]] = []
    for part, child in sorted(parts, key=lambda each: (each[0], each[1].name)):
        table = _load_part(child, root, options, source)
        options = options.like(table)
        tables.append((part, table))
    if tables[0][0] != TRAINING:
        raise DataError(f"{root} has the part {parts[0][1].name} but no train folder. {LAYOUTS}.")
    return _without_lone_class(joined(tables, source.name, str(source), options.labels))


def _are_classes(named: Sequence[Path], root: Path) -> bool:
    """Whether folders that are `named` like parts hold files themselves, and others beside them do, too."""
    beside = [child for child in _folders(root) if child not in named and child.name.lower() not in UNLABELLED]
    return any(map(_holds_media, beside)) and all(
        _holds_media(child) and not any(_media_in(deeper) for deeper in _folders(child)) for child in named
    )


def _holds_media(folder: Path) -> bool:
    return any(media.kind_of(path) for path in _files(folder))


def _without_lone_class(table: Table) -> Table:
    """`table` without its label where all files lie in one folder: so unlabelled files can be handed over."""
    label = table.columns.get("label")
    classes = set() if label is None else set(loaded(label.values).tolist())
    if len(classes) != 1:
        return table
    only = "unlabelled" if classes == {None} else classes.pop()
    columns = {name: column for name, column in table.columns.items() if name != "label"}
    ignored = {**table.ignored, "label": f"all files are in one folder, {only}"}
    return replace(table, columns=columns, ignored=ignored)


def _load_part(folder: Path, root: Path, options: Options, source: Path) -> Table:
    files = sorted(_media_in(folder), key=lambda path: path.relative_to(folder).as_posix())
    kinds = {media.kind_of(path) for path in files}
    if len(kinds) != 1:
        held = "images and sounds side by side" if kinds else "no images or sounds"
        raise DataError(f"{folder} holds {held}; a folder of one kind of files is needed. {LAYOUTS}.")
    if options.label_pattern is not None:
        columns = _from_names(files, folder, options)
    else:
        columns = [RawColumn("label", as_objects(_classes(files, folder)))] if options.labels else []
    name = "image" if "image" in kinds else "audio"
    column, bad = media.decode(name, files, options, str(folder))
    bad = {row: f"{files[row].relative_to(root).as_posix()}: {why}" for row, why in bad.items()}
    return table_of([column, *columns], source.name, str(folder), bad=bad)


def _classes(files: Sequence[Path], folder: Path) -> list[str | None]:
    names = [path.relative_to(folder).parts for path in files]
    flat = [path for path, name in zip(files, names, strict=True) if len(name) == 1]
    if len(flat) == len(files):
        part = folder.name.lower() in PART_WORDS
        taken = " Its name was taken for a part of the data; if it is a class, give it another one." if part else ""
        raise DataError(
            f"{folder} holds {count_of(len(files), 'file')} side by side, such as {files[0].name}, and nothing that "
            f"says their class.{taken} {LAYOUTS}. Where there is none: label=()."
        )
    if flat:
        raise DataError(_strays(flat, folder, "the class folders"))
    return [None if name[0].lower() in UNLABELLED else name[0] for name in names]


def _strays(paths: Sequence[Path], root: Path, outside: str) -> str:
    shown = ", ".join(path.relative_to(root).as_posix() for path in paths[:3])
    return (
        f"{root} has {count_of(len(paths), 'file')} outside {outside}: {shown}{', …' if len(paths) > 3 else ''}. Move "
        "them into a class folder, or into one named unlabelled."
    )


def _from_names(files: Sequence[Path], folder: Path, options: Options) -> list[RawColumn]:
    """The named groups of `label_pattern` in the file names, without their endings, as columns."""
    import polars as pl

    try:
        pattern = re.compile(options.label_pattern or "")
    except re.error as error:
        raise ParameterError(
            f"label_pattern must be a regular expression; {options.label_pattern!r}: {error}."
        ) from error
    if not pattern.groupindex:
        raise ParameterError(
            f"label_pattern must have a named group such as (?P<label>\\w+); got {options.label_pattern!r}."
        )
    matches = [pattern.fullmatch(path.stem) for path in files]
    if odd := [path.name for path, match in zip(files, matches, strict=True) if match is None]:
        raise DataError(
            f"{folder}: {count_of(len(odd), 'file name')} of {len(files):,} do not match label_pattern "
            f"{options.label_pattern!r}: {', '.join(odd[:3])}{', …' if len(odd) > 3 else ''}. It must match the whole "
            "name without its ending."
        )
    frame = pl.DataFrame(
        {group: [match[group] for match in matches if match] for group in pattern.groupindex},
        schema=dict.fromkeys(pattern.groupindex, pl.String),
    )
    return columns_of(frame, options, str(folder), separator="")[0]


def _root(folder: Path, *, deeper: bool) -> Path:
    """`folder`, or what it wraps: a lone folder, and nothing else, with classes or parts below it."""
    while True:
        children = _folders(folder)
        if (
            len(children) != 1
            or children[0].name.lower() in PART_WORDS
            or any(media.kind_of(path) for path in _files(folder))
        ):
            return folder
        if not deeper and not _folders(children[0]):
            return folder
        folder = children[0]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not is_hidden(path.name)]


def _media_in(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if media.kind_of(path)]
