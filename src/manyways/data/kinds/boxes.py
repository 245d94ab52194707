"""Boxes around objects in a picture, as a kind of column."""

from typing import Any

from numpy.typing import NDArray

from manyways.data.boxes import boxes_of, spelled
from manyways.data.categories import as_objects
from manyways.data.kinds.base import ColumnKind
from manyways.data.notation import Decimal, is_missing
from manyways.data.storage import Rows, loaded
from manyways.errors import DataError

LOOKED_AT_CLOSELY = 20


class Boxes(ColumnKind):
    """Boxes around the objects in a picture: objects [n] that are JSON, [["cat",left,top,right,bottom],…], or None.

    Read from lists of such, of {"label": "cat", "box": [left, top, right, bottom]}, and of COCO's {"category": "cat",
    "bbox": [left, top, width, height]}. Sides are pixels of the picture as it was read, whatever size it came to then.
    A picture without an object has [], which says that there is none.
    """

    name = modality = "boxes"
    words = ("boxes of a picture", "boxes of pictures")

    def fits_label(self, values: NDArray[Any]) -> bool:
        known = [value for value in values[: 50 * LOOKED_AT_CLOSELY] if isinstance(value, str) and len(value) > 2]
        try:
            counts = [len(boxes_of(value)) for value in known[:LOOKED_AT_CLOSELY]]
        except ValueError:
            return False
        return sum(counts) > 0

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(values)
        if cells.ndim != 1 or cells.dtype.kind != "O":
            raise DataError(f"The column {name!r} holds numbers, no boxes; a row of boxes is a list of them, or JSON.")
        missing = is_missing(cells)
        out: list[str | None] = []
        for row, (cell, gone) in enumerate(zip(cells, missing, strict=True)):
            try:
                out.append(None if gone else spelled(boxes_of(cell)))
            except ValueError as error:
                raise DataError(
                    f"The column {name!r} holds boxes, and in row {row} (rows count from 0) {str(error).rstrip('.')}. "
                    "Correct the row, or leave it empty: it is unlabelled then."
                ) from error
        return as_objects(out)

    def labels(self, name: str, values: Any) -> Any:
        return self.stored(name, as_objects(list(values)))


BOXES = Boxes()
