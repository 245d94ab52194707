"""Numbers, categories, text, images and sounds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects, in_one_spelling
from manyways.data.kinds.base import TABLE, ColumnKind, first_values
from manyways.data.notation import Decimal, as_numbers, is_missing
from manyways.data.phrases import count_of, listed
from manyways.data.storage import Rows, loaded
from manyways.errors import DataError

FEW_WORDS = 3
"""Words that texts have on average; categories have fewer."""


class Number(ColumnKind):
    """Numbers, one or several a row: float or int [n] or [n, width]."""

    name, modality, words = "number", TABLE, ("number", "numbers")
    fillable, gap = True, "missing, NaN or infinite"

    def fits(self, values: Rows) -> bool:
        if len(values.shape) == 2 or values.dtype.kind == "f":
            return True
        return values.dtype.kind in "iu" and len(np.unique(first_values(values))) > 2

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
        words = [count for value in first_values(values) if value is not None and (count := len(str(value).split()))]
        return bool(words) and sum(words) / len(words) >= FEW_WORDS

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(values)
        if cells.dtype.kind == "O":
            return cells
        if cells.ndim != 1:
            raise DataError(f"The column {name!r} holds {cells.shape[1]} numbers a row; text is one string a row.")
        return as_objects([str(value) for value in cells.tolist()])

    def fits_label(self, values: NDArray[Any]) -> bool:
        """True for texts of three words or more on average, most of which are distinct: they are written, not chosen.

        JSON, such as lists, and lists with tabs are none.
        """
        known = [str(value) for value in first_values(values) if value is not None]
        lists = sum(text[:1] in ("[", "{") or "\t" in text for text in known)
        return self.fits(values) and lists * 2 < len(known) and len(set(known)) * 2 > len(known)

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


NUMBER, CATEGORY, TEXT, IMAGE, AUDIO = Number(), Category(), Text(), Image(), Audio()
