"""Sets of classes."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.kinds.base import ColumnKind, first_values
from manyways.data.notation import Decimal, is_missing
from manyways.data.storage import Rows, loaded
from manyways.errors import DataError


class Several(ColumnKind):
    """Sets of classes, each row of which may be of several, or of none: objects [n] that are "a|b", None where missing.

    Read from lists, ["a", "b"], and from words with a stroke between them, "a|b"; the classes of a row are sorted, and
    a row of none is "|".
    """

    name = modality = "several"
    words = ("set of classes", "sets of classes")

    def fits_label(self, values: NDArray[Any]) -> bool:
        known = [str(value) for value in first_values(values) if value is not None and str(value)]
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


SEVERAL = Several()
