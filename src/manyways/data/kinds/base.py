"""The base class of kinds of columns, and the registry of all."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.notation import Decimal, is_missing
from manyways.data.storage import Rows
from manyways.registry import Registry

Kind = str
"""The name of a kind of column, one of `KINDS`."""
TABLE = "table"
"""The modality that several columns share."""
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

    def remark(self, values: Rows) -> str | None:
        """The reading of `values`, before they were stored, that could have been another; None where there is none."""
        return None

    def labels(self, name: str, values: Any) -> Any:
        """Labels that a model or an annotator gives, one a row, as this kind stores them; errors as of `stored`."""
        return values

    def shaped(self, labels: Any, shape: tuple[int, ...]) -> Any:
        """The `labels` as rows of that shape: of a column of arrays, to whose size they come."""
        return labels

    def detail(self, shape: tuple[int, ...], rate: int | None) -> str:
        """Words for a column whose values have that shape and rate: "8×8 pixels, grey"."""
        return self.name


KINDS: Registry[ColumnKind] = Registry("kinds", ColumnKind, "manyways.data.kinds")
"""Every kind by its name: those of this file, and of the entry-point group `manyways.kinds`."""


def first_values(values: Rows) -> NDArray[Any]:
    """The values that are looked at to tell the kind of a column."""
    return values[np.arange(min(len(values), LOOKED_AT))]
