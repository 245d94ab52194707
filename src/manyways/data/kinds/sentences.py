"""Kinds of columns that hold something for each word of a sentence: the words, tags, and dependency trees."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.kinds.base import ColumnKind, first_values
from manyways.data.notation import Decimal, is_missing
from manyways.data.phrases import count_of
from manyways.data.sentences import (
    ARC,
    TAB,
    Unfit,
    arcs_of,
    as_bio,
    is_bio,
    is_ended,
    joined,
    list_in,
    parts_of,
    repaired,
    split,
    tree_cell,
)
from manyways.data.storage import Rows, loaded
from manyways.errors import DataError

LOOKED_AT_CLOSELY = 100


class WordByWord(ColumnKind):
    """Something for each word of a sentence: objects [n], strings with tabs between words, None where missing."""

    example = '["The", "dog"]'

    @abstractmethod
    def cell(self, value: Any) -> str | None:
        """A value in its one spelling; None where it has no word. Raises Unfit."""

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(values)
        if cells.ndim == 2:  # lists of numbers, all of one length
            cells = as_objects([TAB.join(map(str, row)) for row in cells.tolist()])
        if cells.ndim != 1 or cells.dtype.kind != "O":
            raise DataError(
                f"The column {name!r} holds {cells.dtype} of shape {cells.shape}; {self.words[1]} are lists, or text "
                f"with tabs between words: {self.example}."
            )
        return as_objects([None if gone else self._spelt(name, row, cell, self.cell)
                           for row, (cell, gone) in enumerate(zip(cells, is_missing(cells), strict=True))])  # fmt: skip

    def labels(self, name: str, values: Any) -> Any:
        return self.stored(name, as_objects(list(values)))

    def _spelt(self, name: str, row: int, value: Any, spell: Callable[[Any], str | None]) -> str | None:
        try:
            return spell(value)
        except Unfit as fault:
            raise DataError(
                f"The column {name!r} holds, in row {row} (rows count from 0), {fault}. Correct the row, or leave it "
                f"out; {self.words[1]} are such as {self.example}."
            ) from None


class Words(WordByWord):
    """Sentences as words."""

    name = modality = "words"
    words, gap = ("sentence", "sentences"), "empty"

    def cell(self, value: Any) -> str | None:
        # A sentence of the one word "[1]" is no list of numbers.
        listed = list_in(value) if isinstance(value, str) and TAB not in value else None
        alone = bool(listed) and all(isinstance(part, int) for part in listed or ())
        return joined([value] if alone else parts_of(value))


class Tags(WordByWord):
    """A tag for each word; tags of BIOES and BILOU are stored as BIO, in which every span begins with B-."""

    name = modality = "tags"
    words = ("sequence of tags", "sequences of tags")
    example = '["DET", "NOUN"]'

    def cell(self, value: Any) -> str | None:
        return joined(parts_of(value), "tag")

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(super().stored(name, values, decimal, learned=learned))
        scheme = _scheme(cells)
        return cells if scheme is None else as_objects([cell and TAB.join(scheme(split(cell))) for cell in cells])

    def remark(self, values: Rows) -> str | None:
        cells = [None if cell is None else self.cell(cell) for cell in loaded(values).tolist()]
        known = [split(cell) for cell in cells if cell is not None]
        if is_ended({tag for tags in known for tag in tags}):
            return "its tags are of the scheme BIOES or BILOU, and are read as BIO: B-… begins a span, I-… goes on"
        changed = [
            (row, place)
            for row, cell in enumerate(cells)
            if cell is not None and is_bio(split(cell))
            for place, (old, new) in enumerate(zip(split(cell), repaired(split(cell)), strict=True))
            if old != new
        ]
        if not changed or not is_bio({tag for tags in known for tag in tags}):
            return None
        row, place = changed[0]
        tag = split(cells[row] or "")[place]
        return (
            f"{count_of(len(changed), 'tag')} of it are no legal BIO, an I-… that goes on no span of its type, such as "
            f"{tag} at word {place + 1} of row {row} (rows count from 0); read as B{tag[1:]}, which begins one"
        )


def _scheme(cells: NDArray[Any]) -> Callable[[list[str]], list[str]] | None:
    """The change that puts the tags of a column into BIO; None where they mark no spans, or mark them so."""
    distinct = {tag for cell in cells.tolist() if cell is not None for tag in split(cell)}
    if is_ended(distinct):
        return lambda tags: repaired(as_bio(tags))
    return repaired if is_bio(distinct) else None


class Tree(WordByWord):
    """A dependency tree: the head of each word, 0 for the root, and its relation, such as 2:nsubj."""

    name = modality = "tree"
    words = ("dependency tree", "dependency trees")
    example = '["2:det", "0:root"]'

    def cell(self, value: Any) -> str | None:
        return tree_cell(arcs_of(value))

    def fits_label(self, values: NDArray[Any]) -> bool:
        """True for lists, or text with tabs, of heads and relations: "3:1" alone is a score of a game."""
        known = [value for value in first_values(values).tolist() if value is not None][:LOOKED_AT_CLOSELY]
        if not known or not all(isinstance(value, str) for value in known):
            return False
        listed = [list_in(value) if TAB not in value else value.split(TAB) for value in known]
        return all(parts and all(isinstance(part, str) and ARC.fullmatch(part) for part in parts) for parts in listed)


WORDS, TAGS, TREE = Words(), Tags(), Tree()


def lengths_of(values: NDArray[Any]) -> NDArray[np.int64]:
    """The number of words in each cell of `values`, as a kind stores them; 0 where there is none."""
    return np.array([0 if value is None else value.count(TAB) + 1 for value in values], np.int64)
