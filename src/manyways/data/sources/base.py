"""What every source gives: a table of raw columns; and the options it is given."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.kinds import Kind
from manyways.data.notation import Decimal
from manyways.data.options import BadRows
from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.data.phrases import listed_names
from manyways.data.storage import Rows
from manyways.errors import DataError

PART_WORDS = {
    "train": TRAINING,
    "training": TRAINING,
    "unsupervised": TRAINING,
    "dev": VALIDATION,
    "val": VALIDATION,
    "valid": VALIDATION,
    "validation": VALIDATION,
    "test": TEST,
    "testing": TEST,
}
"""Words that name a part of the data in files, folders, splits and part columns."""


@dataclass(frozen=True)
class Options:
    """How a source is to be read; `read` documents each. Test rows may lack the columns of `labels`.

    wanted: the columns that roles or the part name, for sources that would else leave them out.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    bad_rows: BadRows = "refuse"
    image_size: int | tuple[int, int] | None = None
    sample_rate: int | None = None
    seconds: float | None = None
    label_pattern: str | None = None
    header: bool | None = None
    decimal: Decimal | None = None
    image_white: float | None = None
    channels: int | None = None
    labels: tuple[str, ...] = ("label",)
    wanted: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        """The columns that anything speaks of."""
        return self.wanted | set(self.kinds)

    def like(self, table: "Table") -> "Options":
        """These options with the image size, channels, white, rate and length that `table` was read with."""
        options = self
        for column in table.columns.values():
            shape = column.values.shape
            if column.kind == "image":
                white = column.white or options.image_white
                options = replace(options, channels=shape[1], image_size=(shape[2], shape[3]), image_white=white)
            if column.kind == "audio" and column.rate:
                options = replace(options, sample_rate=column.rate, seconds=shape[1] / column.rate)
        return options


@dataclass(frozen=True, eq=False)
class RawColumn:
    """Values as a source found them: `kind` where it knows it, `problem` where words lie among numbers.

    `absent` says which rows have no image or sound; None where all have theirs. `exact` holds whole numbers that
    `values`, being floats, cannot tell apart: what they are as categories. `note` says how values were understood that
    could be understood otherwise. `decimal` is the mark with which numbers were read that leave it open. `white` is
    what became 255 in images of more than 8 bits.
    """

    name: str
    values: Rows
    kind: Kind | None = None
    rate: int | None = None
    problem: str | None = None
    absent: NDArray[np.bool_] | None = None
    exact: NDArray[Any] | None = None
    note: str | None = None
    decimal: Decimal | None = None
    white: float | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """What a source holds: columns of one length, each row's part, and why rows could not be decoded.

    `ignored` says why columns or files were left out, `notes` how what is no column was understood. `headless` says why
    a file's first row was read as values.
    """

    columns: Mapping[str, RawColumn]
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


def table_of(columns: list[RawColumn], name: str, source: str, **more: Any) -> Table:
    """A table from columns of one length. Raises DataError for two columns of one name, or other lengths."""
    names = [column.name for column in columns]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise DataError(f"{source} has several columns named {listed_names(twice)}; names must differ. Rename them.")
    lengths = {column.name: len(column.values) for column in columns}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{each} {count:,}" for each, count in lengths.items())
        raise DataError(f"The columns of {source} must have as many rows as each other; got {shown}.")
    return Table({column.name: column for column in columns}, name, source, **more)


def plain_name(path: Path) -> str:
    """The file name without its endings: `reviews.csv.gz` is `reviews`."""
    return path.name.split(".")[0] or path.name


def suffix(path: Path) -> str:
    """The ending that says what a file is, in lower case, `.gz` left out."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def part_of(words: str) -> int | None:
    """The part that a file or folder name speaks of: `stsb-en-dev` is validation; None where none."""
    tokens = words.lower().replace("-", " ").replace("_", " ").replace(".", " ").split()
    return next((PART_WORDS[token] for token in tokens if token in PART_WORDS), None)
