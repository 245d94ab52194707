"""Kinds of columns: how each is told from values, stored, found missing, and called."""

import json
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects, in_one_spelling
from manyways.data.notation import Decimal, as_numbers, is_missing
from manyways.data.phrases import count_of, listed
from manyways.data.storage import Rows, loaded
from manyways.errors import DataError
from manyways.registry import Registry

Kind = str
"""The name of a kind of column, one of `KINDS`."""
TABLE = "table"
"""The modality that several columns share."""
FEW_WORDS = 3
"""Words that texts have on average; categories have fewer."""
LOOKED_AT = 20_000
"""Values that are looked at to tell the kind of a column."""


class ColumnKind:
    """One kind of column.

    A subclass states its name and `modality`: the kind of input that its columns are seen as, which says the encoder.
    Columns of the modality `table` are one input together, each other column is its own. `words` are what one and
    several are called. `decoded`: the values are arrays of one shape, made of files or given as such, of which none
    means nothing, so `Column.absent` says which rows have none. `fillable`: gaps can be filled. `gap` is the word for
    values that cannot be learned from.
    """

    name: ClassVar[str]
    modality: ClassVar[str]
    words: ClassVar[tuple[str, str]]
    decoded: ClassVar[bool] = False
    fillable: ClassVar[bool] = False
    gap: ClassVar[str] = "missing"

    def fits(self, values: Rows) -> bool:
        """True if `values` look like this kind; those that look like none are categories."""
        return False

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        """The `values` of the column `name` as this kind stores them.

        Args:
            name: The column, for messages.
            values: Rows of numbers, or objects that are words, numbers or None.
            decimal: The mark before the fraction of numbers that are text.
            learned: True if a model learned the column as this kind, so that it can be no other.

        Raises:
            DataError: A value cannot be of this kind.
        """
        return values

    def missing(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """True for each of `values` that says nothing."""
        return is_missing(values)

    def fits_label(self, values: NDArray[Any]) -> bool:
        """True if labels, objects [n], look like this kind, and not like categories or numbers."""
        return False

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        """Words for a column whose values have that shape and rate: "8×8 pixels, grey"."""
        return self.name


KINDS: Registry[ColumnKind] = Registry("kinds", ColumnKind, "manyways.data.kinds")
"""Every kind by its name: those of this file, and of the entry-point group `manyways.kinds`."""


class Number(ColumnKind):
    """Numbers, one or several a row: float or int [n] or [n, width]."""

    name, modality, words = "number", TABLE, ("number", "numbers")
    fillable, gap = True, "missing, NaN or infinite"

    def fits(self, values: Rows) -> bool:
        if len(values.shape) == 2 or values.dtype.kind == "f":
            return True
        return values.dtype.kind in "iu" and len(np.unique(_first(values))) > 2

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        # Numbers are not touched, and so not loaded: there may be more of them than memory.
        if values.dtype.kind in "iuf":
            return values
        cells = loaded(values)
        if cells.dtype.kind == "b":
            return cells.astype(np.uint8)
        numbers, odd = as_numbers(cells, decimal)
        if not len(odd):
            return numbers
        others = f", and {count_of(len(odd) - 1, 'other row')} no number either" if len(odd) > 1 else ""
        place = f"row {odd[0]} (rows count from 0) holds {cells[odd[0]]!r}{others}. Correct the cell"
        if learned:
            raise DataError(
                f"The model learned from numbers in the column {name!r}, and {place}, or leave it empty and pass "
                'bad_rows="skip" or bad_rows="fill".'
            )
        raise DataError(
            f"The column {name!r} cannot have the kind 'number': {place}, or pass kinds={{{name!r}: \"category\"}}."
        )

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"{shape[1]} numbers" if len(shape) == 2 else self.name


class Category(ColumnKind):
    """Categories: objects [n] that are words or whole numbers, None where missing, or ints [n]."""

    name, modality, words = "category", TABLE, ("category", "categories")
    fillable = True

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(values)
        if cells.ndim != 1:
            raise DataError(f"The column {name!r} holds {cells.shape[1]} numbers a row; a category is one value a row.")
        if cells.dtype.kind == "O":
            return in_one_spelling(cells)
        if cells.dtype.kind != "f":
            return cells
        missing = np.isnan(cells)
        known = cells[~missing]
        if len(infinite := np.flatnonzero(np.isinf(cells))):
            raise DataError(
                f"The column {name!r} is infinite in {count_of(len(infinite), 'row')} ({listed(infinite)}; rows count "
                "from 0); a category is a name or a whole number. Correct those rows, or leave them empty."
            )
        if not np.all(known == np.round(known)):
            # Of a number in single precision its own digits, not those of the double that it becomes in a list.
            return as_objects([None if gone else str(value) for value, gone in zip(cells, missing, strict=True)])
        if not missing.any():
            return cells.astype(np.int64)
        return as_objects([None if gone else int(value) for value, gone in zip(cells.tolist(), missing, strict=True)])


class Text(ColumnKind):
    """Text: objects [n], None where missing."""

    name = modality = "text"
    words, gap = ("text", "texts"), "empty"

    def fits(self, values: Rows) -> bool:
        if len(values.shape) > 1 or values.dtype.kind != "O":
            return False
        words = [count for value in _first(values) if value is not None and (count := len(str(value).split()))]
        return bool(words) and sum(words) / len(words) >= FEW_WORDS

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(values)
        if cells.dtype.kind == "O":
            return cells
        if cells.ndim != 1:
            raise DataError(f"The column {name!r} holds {cells.shape[1]} numbers a row; text is one string a row.")
        return as_objects([str(value) for value in cells.tolist()])

    def missing(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        if values.dtype.kind != "O":
            return is_missing(values)
        blank = np.fromiter((str(value).isspace() for value in values), bool, len(values))
        return np.asarray(is_missing(values) | blank)


class Image(ColumnKind):
    """Images: uint8 [n, channels, height, width]."""

    name = modality = "image"
    words, decoded = ("image", "images"), True

    def fits(self, values: Rows) -> bool:
        return len(values.shape) >= 3

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"{shape[2]}×{shape[3]} pixels, {'grey' if shape[1] == 1 else 'RGB'}"


class Audio(ColumnKind):
    """Sounds: int16 [n, samples], mono."""

    name = modality = "audio"
    words, decoded = ("sound", "sounds"), True

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        return f"{shape[1] / rate:.2g} s at {rate / 1000:g} kHz" if rate else self.name


class Several(ColumnKind):
    """Sets of classes, each row of which may be of several, or of none: objects [n] that are "a|b", None where missing.

    Read from lists, ["a", "b"], and from words with a stroke between them, "a|b"; the classes of a row are sorted, and
    a row of none is "|".
    """

    name = modality = "several"
    words = ("set of classes", "sets of classes")

    def fits_label(self, values: NDArray[Any]) -> bool:
        known = [str(value) for value in _first(values) if value is not None and str(value)]
        if any(_is_list(value) for value in known[:LOOKED_AT_CLOSELY]):
            return True
        joined = [value for value in known if STROKE in value]
        classes = {part.strip() for value in known if value != STROKE for part in value.split(STROKE)}
        # Of sets the same few classes come again and again, in many combinations; a stroke in a name is alone.
        often = bool(joined) and len(joined) >= len(known) * LEAST_JOINED
        return often and "" not in classes and len(classes) * 2 <= len(known)

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(values)
        if cells.ndim != 1:
            raise DataError(
                f"The column {name!r} holds {cells.shape[1]} numbers a row; sets of classes are lists of names, or "
                f"names with a stroke between them: a{STROKE}b."
            )
        missing = is_missing(cells)
        return as_objects([None if gone else _joined(name, cell) for cell, gone in zip(cells, missing, strict=True)])


STROKE = "|"
"""Between the classes of a row."""
LEAST_JOINED = 0.1
"""Share of the labels with a stroke from which on they are sets."""
LOOKED_AT_CLOSELY = 100


def classes_in(cell: str) -> tuple[str, ...]:
    """The classes in a cell of a column of sets: ("a", "b") of "a|b"."""
    return tuple(part for part in cell.split(STROKE) if part)


def _joined(name: str, cell: Any) -> str:
    """A list, or words with strokes between them, as the kind stores it."""
    if isinstance(cell, str):
        parts = json.loads(cell) if _is_list(cell) else [part.strip() for part in cell.split(STROKE)]
    else:
        parts = list(cell) if isinstance(cell, list | tuple | set | np.ndarray) else [cell]
    words = {str(part).strip() for part in parts} - {""}
    if odd := [word for word in sorted(words) if STROKE in word]:
        raise DataError(
            f"The column {name!r} holds lists of classes, one of which is {odd[0]!r}; a class has no {STROKE!r} in its "
            "name. Write it otherwise."
        )
    return STROKE.join(sorted(words)) or STROKE


def _is_list(text: str) -> bool:
    """True of JSON that is a list of words or numbers."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    try:
        parts = json.loads(text)
    except ValueError:
        return False
    return all(isinstance(part, str | int) for part in parts)


NUMBER, CATEGORY, TEXT, IMAGE, AUDIO, SEVERAL = Number(), Category(), Text(), Image(), Audio(), Several()


def infer_kind(values: Rows) -> Kind:
    """The kind that `values` look like.

    Arrays of three or four axes are images. Floats, and integers with more than 2 values, are numbers. Strings are text
    where they have three words or more on average, categories otherwise.
    """
    return next((kind.name for kind in KINDS.all().values() if kind.fits(values)), CATEGORY.name)


def infer_label_kind(values: NDArray[Any]) -> Kind:
    """The kind that `values` look like as a label: a category, unless they are amounts.

    Numbers are classes where they are whole and few (`most_classes`), or 0 … K-1 or 1 … K with several rows each.
    """
    known = values[~is_missing(values)]
    if known.dtype.kind not in "iuf":
        return next((kind.name for kind in KINDS.all().values() if kind.fits_label(known)), CATEGORY.name)
    if not np.all(known == np.round(known)):
        return NUMBER.name
    distinct, counts = np.unique(known, return_counts=True)
    if len(distinct) <= most_classes(len(known)):
        return CATEGORY.name
    counted = distinct[0] in (0, 1) and distinct[-1] - distinct[0] == len(distinct) - 1
    return CATEGORY.name if counted and counts.min() > 1 else NUMBER.name


def most_classes(count: int) -> int:
    """The number of different whole numbers in `count` rows up to which they are classes, whatever they are."""
    return max(20, min(100, count // 20))


def _first(values: Rows) -> NDArray[Any]:
    return values[np.arange(min(len(values), LOOKED_AT))]
