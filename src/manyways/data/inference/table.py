"""Tables whose values have types, and whose columns have no roles yet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from manyways.data.kinds import Kind
from manyways.data.notation import Decimal
from manyways.data.phrases import listed_names
from manyways.data.sources.base import Options, RawTable
from manyways.data.storage import Rows
from manyways.errors import DataError


@dataclass(frozen=True, eq=False)
class TypedColumn:
    """Values of one type, and their `kind` where the source or they themselves say it.

    `problem` is the message where words lie among numbers. `absent` is True for each row without an image or sound,
    None where all have theirs. `exact` are whole numbers that `values`, being floats, cannot tell apart. `note` is a
    reading that could be another, `decimal` the mark with which numbers were read that leave it open, `white` the
    number that became 255 in images of more than 8 bits. `sizes` [n, 2] are height and width of images before they came
    to one size, None where they always had it. `dates`: the values are seconds of
    dates.
    """

    name: str
    values: Rows
    kind: Kind | None = None
    rate: int | None = None
    problem: str | None = None
    absent: NDArray[np.bool_] | None = None
    exact: NDArray[np.object_] | None = None
    note: str | None = None
    decimal: Decimal | None = None
    white: float | None = None
    sizes: NDArray[np.int32] | None = None
    dates: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of one length, each row's part, and the reasons why rows could not be decoded.

    `ignored`, `notes`, `label` and `headless` are those of `RawTable`.
    """

    columns: Mapping[str, TypedColumn]
    name: str
    source: str
    part: NDArray[np.uint8] | None = None
    bad: Mapping[int, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    headless: str = ""

    def __len__(self) -> int:
        return next((len(column.values) for column in self.columns.values()), 0)


def table_of(columns: Sequence[TypedColumn], raw: RawTable, bad: Mapping[int, str]) -> Table:
    """The table of the `columns` of `raw`. Raises DataError for two columns of one name, or other lengths."""
    source, names = raw.where, [column.name for column in columns]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(f"{source} has several columns named {listed_names(twice)}; names must differ. Rename them.")
    lengths = {column.name: len(column.values) for column in columns}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {count:,}" for name, count in lengths.items())
        raise DataError(f"The columns of {source} must have as many rows as each other; got {shown}.")
    by_name = {column.name: column for column in columns}
    return Table(by_name, raw.name, source, raw.part, bad, raw.ignored, raw.label, raw.notes, raw.headless)


def like(options: Options, table: Table) -> Options:
    """`options` with the image size, channels, white, rate and length that `table` was read with."""
    for column in table.columns.values():
        shape = column.values.shape
        if column.kind == "image":
            white = column.white or options.image_white
            options = replace(options, channels=shape[1], image_size=(shape[2], shape[3]), image_white=white)
        if column.kind == "audio" and column.rate:
            options = replace(options, sample_rate=column.rate, seconds=shape[1] / column.rate)
    return options


def sizes_of(column: TypedColumn) -> NDArray[np.int32]:
    """Height and width of each image of `column`, [n, 2], before they came to one size."""
    if column.sizes is not None:
        return column.sizes
    return np.tile(np.array(column.values.shape[-2:], np.int32), (len(column.values), 1))
