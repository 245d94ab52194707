"""Spans of a text, such as answers to a question, as a kind of column."""

from typing import Any

from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.kinds.base import ColumnKind
from manyways.data.notation import Decimal, is_missing
from manyways.data.spans import Span as One
from manyways.data.spans import spans_of, spelled
from manyways.data.storage import Rows, loaded
from manyways.errors import DataError

LOOKED_AT_CLOSELY = 100


class Span(ColumnKind):
    """Answers in a text: objects [n] that are JSON, {"text":["Denver"],"start":[177]}, or None where not known.

    Read from such, from Hugging Face's {"text": …, "answer_start": …}, and from words alone where these stand once in
    the text. A question without an answer has {"text":[],"start":[]}.
    """

    name = modality = "span"
    words = ("span of a text", "spans of texts")

    def fits_label(self, values: NDArray[Any]) -> bool:
        known = [value for value in values[:LOOKED_AT_CLOSELY] if isinstance(value, str) and value]
        listed = [value for value in known if value.startswith('{"') and '"text"' in value and "start" in value]
        return bool(listed) and len(listed) == len(known)

    def stored(self, name: str, values: Rows, decimal: Decimal | None = None, *, learned: bool = False) -> Rows:
        cells = loaded(values)
        if cells.ndim != 1 or cells.dtype.kind != "O":
            raise DataError(f"The column {name!r} holds numbers; a span is words of a text, and where they start.")
        out: list[str | None] = []
        for row, (cell, gone) in enumerate(zip(cells, is_missing(cells), strict=True)):
            try:
                out.append(None if gone else spelled(spans_of(cell)))
            except ValueError as error:
                raise DataError(
                    f"The column {name!r} holds spans of a text, and in row {row} (rows count from 0) {error}. Correct "
                    "the row, or leave it empty: it is unlabelled then."
                ) from error
        return as_objects(out)

    def labels(self, name: str, values: Any) -> Any:
        return self.stored(name, as_objects([_kept(value) for value in values]))


def _kept(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value or ""
    return spelled([One(*each) for each in spans_of(value)])


SPAN = Span()
