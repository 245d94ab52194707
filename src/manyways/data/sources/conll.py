"""Files of words in columns (CoNLL, CoNLL-U, IOB2), also gzipped, and folders with train/dev/test files of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from manyways.data.parts import TRAINING
from manyways.data.sources.base import Options, Raw, RawColumn, RawTable, alone, part_of, plain_name, suffix
from manyways.data.sources.conll_columns import WORDS, columns_of
from manyways.data.sources.conll_lines import Sentences, is_tagged_text, read_sentences
from manyways.data.sources.file_trees import files_below, unread
from manyways.data.sources.text_files import open_binary
from manyways.errors import DataError

ORDER = 34
"""Before running text and tables: a .txt file whose lines end in tags is no prose."""
ENDINGS = frozenset({".conll", ".conllu", ".iob2", ".iob", ".bio"})
SNIFFED = frozenset({".txt", ".train", ".testa", ".testb", ".dev", ".test"})
"""Endings of files that may be such, as those of CoNLL-2003 are, if their first lines look like it."""
LOOKED_AT = 200
"""Lines of such a file that are looked at."""
LONGEST_LINE = 500
"""Bytes that they have on average at most."""
LABELS = ("tree", "entities", "upos", "tags")
"""Columns that are the label where none is named, the first of them that is there; else the last column."""


def accepts(source: Any) -> bool:
    """A file of such an ending, or a .txt file with tags in columns; a folder with such files."""
    if not isinstance(source, Path):
        return False
    return bool(_files(source))


def load(source: Path, options: Options) -> Raw:
    """The sentences of a file, or of a folder's files by the parts that their names say, as columns with tabs in cells.

    `words`, the label, and what else anything speaks of; the other columns are named in `ignored`. Raises DataError
    where a line is damaged.
    """
    files = _files(source)
    if source.is_file():
        return alone(_table(source, read_sentences(source), options))
    parts = [(part_of(path.name), path) for path in files]
    named = [(part, path) for part, path in parts if part is not None]
    if not named and len(files) > 1:
        raise DataError(
            f"{source} holds the files {', '.join(path.name for path in files[:5])}, whose names say no part. Call "
            "them train, dev and test, or read one: read('train.conllu', test='test.conllu')."
        )
    chosen = sorted(named or [(TRAINING, files[0])], key=lambda each: (each[0], each[1].name))
    sentences = [(part, path, read_sentences(path)) for part, path in chosen]
    first = sentences[0][2]
    for _, path, each in sentences:
        if each.width != first.width:
            raise DataError(
                f"{path} has {each.width} columns, and {sentences[0][1]} has {first.width}; parts of one data set need "
                "as many. Read the files on their own: read('train.conllu', test='test.conllu')."
            )
    left = unread(files_below(source), [path for _, path in chosen], source, "words in columns")
    tables = [(part, _table(path, each, options)) for part, path, each in sentences]
    names = _in_all(tables)
    tables = [(part, replace(table, columns=[c for c in table.columns if c.name in names])) for part, table in tables]
    return Raw(tables, plain_name(source), str(source), ignored=left)


def _in_all(tables: Sequence[tuple[int, RawTable]]) -> set[str]:
    return set.intersection(*({column.name for column in table.columns} for _, table in tables))


def _files(source: Path) -> list[Path]:
    """The files of words in columns that `source` is or holds, by name."""
    if source.is_file():
        return [source] if _is_one(source) else []
    return sorted(
        path for path in source.iterdir() if path.is_file() and not path.name.startswith(".") and _is_one(path)
    )


def _is_one(path: Path) -> bool:
    if suffix(path) in ENDINGS:
        return True
    if suffix(path) not in SNIFFED:
        return False
    with open_binary(path) as file:
        # No more than a beginning: a file without a line's end may be larger than memory.
        beginning = file.read(LOOKED_AT * LONGEST_LINE)
    lines = beginning.decode("utf-8", "replace").splitlines()
    cut = len(beginning) == LOOKED_AT * LONGEST_LINE  # in the middle of the last line
    return is_tagged_text((lines[:-1] if cut else lines)[:LOOKED_AT])


def _table(path: Path, sentences: Sentences, options: Options) -> RawTable:
    """The columns of a file that are wanted, and its label."""
    cells = columns_of(sentences, str(path))
    wanted = options.names | set(options.labels)
    named = [name for name in options.labels if name in cells.annotations]
    label = None if named or not options.labels else _label(list(cells.annotations))
    kept = {name for name in cells.all if name in (WORDS, label) or name in wanted}
    columns = [RawColumn(name, list(cells.all[name]), cells.kinds[name]) for name in cells.all if name in kept]
    ignored = dict(cells.ignored)
    for name in cells.all:
        if name not in kept:
            use = f'label="{name}"' if name in cells.annotations else cells.uses[name]
            ignored[name] = f"it is not asked for; if it is: {use}"
    notes = {}
    if label is not None and (others := [name for name in cells.annotations if name != label]):
        notes[label] = f'it is the label, since none is named; others are {", ".join(others)}: label="{others[0]}"'
    return RawTable(columns, plain_name(path), str(path), ignored=ignored, notes=notes, label=label)


def _label(names: list[str]) -> str | None:
    return next((name for name in LABELS if name in names), names[-1] if names else None)
