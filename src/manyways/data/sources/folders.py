"""Folders of image or sound files: a folder per class, `train` and `test` above them, or names that tell."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from manyways.data.parts import TRAINING
from manyways.data.phrases import count_of
from manyways.data.sources import media
from manyways.data.sources.base import PART_WORDS, Cells, Media, Options, Raw, RawColumn, RawTable, alone
from manyways.data.sources.file_trees import files_below, is_hidden, loops_below, unread, walk
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


def load(source: Path, options: Options) -> Raw:
    """The files, sorted by name, as a column `image` or `audio`, and the names of class folders as the column `label`.

    The class is the first folder below the part. A folder called train that holds files itself, beside others that do,
    is a class of that name. With `label_pattern` each named group becomes a column instead. Files that are neither
    images nor sounds are counted in `ignored`, by their ending. Raises DataError for other layouts, and for images and
    sounds side by side.
    """
    root = _root(source, deeper=options.label_pattern is not None)
    raw = _load(root, options, source)
    what = "images" if any(table.columns[0].name == "image" for _, table in raw.tables) else "sounds"
    files = files_below(root)
    left = unread(files, [path for path in files if media.kind_of(path)], root, what)
    back = {path.relative_to(root).as_posix(): "it is a link to a folder above it" for path in loops_below(root)}
    return replace(raw, ignored={**raw.ignored, **left, **back})


def _load(root: Path, options: Options, source: Path) -> Raw:
    named = [child for child in _folders(root) if child.name.lower() in PART_WORDS]
    if not named:
        return _without_lone_class([(TRAINING, _load_part(root, root, options, source))], source)
    if options.label_pattern is None and _are_classes(named, root):
        notes = {child.name: "the folder is taken for a class, as those beside it are" for child in named}
        return alone(replace(_load_part(root, root, options, source), notes=notes))
    parts = [(PART_WORDS[child.name.lower()], child) for child in named]
    names = ", ".join(sorted(child.name for child in named))
    if outside := [path for path in _media_in(root) if not any(child in path.parents for child in named)]:
        raise DataError(
            f"{_strays(outside, root, f'the parts {names}')} A folder of such a name is taken for a part of the data; "
            "if it is a class, let its files lie in it, as those of the other classes do, or give it another name."
        )
    parts.sort(key=lambda each: (each[0], each[1].name))
    tables = [(part, _load_part(child, root, options, source)) for part, child in parts]
    if tables[0][0] != TRAINING:
        raise DataError(f"{root} has the part {parts[0][1].name} but no train folder. {LAYOUTS}.")
    return _without_lone_class(tables, source)


def _are_classes(named: Sequence[Path], root: Path) -> bool:
    """True if folders that are `named` like parts hold files themselves, and others beside them do, too."""
    beside = [child for child in _folders(root) if child not in named and child.name.lower() not in UNLABELLED]
    return any(map(_holds_media, beside)) and all(
        _holds_media(child) and not any(_media_in(deeper) for deeper in _folders(child)) for child in named
    )


def _holds_media(folder: Path) -> bool:
    return any(media.kind_of(path) for path in _files(folder))


def _without_lone_class(tables: Sequence[tuple[int, RawTable]], source: Path) -> Raw:
    """The `tables` without their label where all files lie in one folder: so unlabelled files can be handed over."""
    raw = Raw(tables, source.name, str(source) if len(tables) > 1 else tables[0][1].where)
    classes: set[str | None] = set()
    for column in (column for _, table in tables for column in table.columns if column.name == "label"):
        if isinstance(column.values, list | Cells):
            classes |= set(column.values if isinstance(column.values, list) else column.values.series.to_list())
    if len(classes) != 1:
        return raw
    only = "unlabelled" if classes == {None} else classes.pop()
    kept = [
        (part, replace(table, columns=[column for column in table.columns if column.name != "label"]))
        for part, table in tables
    ]
    return replace(raw, tables=kept, ignored={"label": f"all files are in one folder, {only}"})


def _load_part(folder: Path, root: Path, options: Options, source: Path) -> RawTable:
    files = sorted(_media_in(folder), key=lambda path: path.relative_to(folder).as_posix())
    kinds = {media.kind_of(path) for path in files}
    if len(kinds) != 1:
        held = "images and sounds side by side" if kinds else "no images or sounds"
        raise DataError(f"{folder} holds {held}; a folder of one kind of files is needed. {LAYOUTS}.")
    if options.label_pattern is not None:
        columns = _from_names(files, folder, options)
    else:
        columns = [RawColumn("label", _classes(files, folder))] if options.labels else []
    name = "image" if "image" in kinds else "audio"
    rows = [path.relative_to(root).as_posix() for path in files]
    return RawTable([RawColumn(name, Media(files)), *columns], source.name, str(folder), rows=rows)


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
    return [RawColumn(group, Cells(frame[group], "")) for group in frame.columns]


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
