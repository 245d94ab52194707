"""All that readers share: their options, and the raw tables that they yield."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray

from manyways.data.kinds import Kind
from manyways.data.notation import Decimal
from manyways.data.options import BadRows
from manyways.data.parts import TEST, TRAINING, VALIDATION
from manyways.data.storage import Rows

if TYPE_CHECKING:
    import polars as pl
    from PIL import Image

Item = Union[Path, bytes, "Image.Image", None]
"""An image or a sound: its file, its encoded bytes, an image of Pillow, or None where there is none."""
IN_MEMORY = "data in memory"
"""The place of values that lie in no file."""
MOST_SEPARATE = 64
"""Columns of a matrix beyond which it stays one column of vectors."""
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
    """Options of reading a source; `read` documents each. Test rows may lack the columns of `labels`.

    Attributes:
        wanted: The columns that roles or the part name, for sources that would else leave them out.
        task: The column that has the role task, which files may say by their names.
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
    task: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The columns that anything speaks of."""
        return self.wanted | set(self.kinds)


@dataclass(frozen=True, eq=False)
class Cells:
    """A column of a text file: strings, null where a cell is empty, among which a number is a string, too.

    `separator` is the mark between the cells of a row.
    """

    series: "pl.Series"
    separator: str


@dataclass(frozen=True, eq=False)
class Typed:
    """A column of a polars frame, whose type says that strings are strings."""

    series: "pl.Series"


Values = Rows | list[Any] | Typed
"""An array, perhaps one that lies in a file; Python values; a series."""


@dataclass(frozen=True, eq=False)
class Media:
    """Images or sounds, none of them decoded.

    `largest` are the pixels of the longer side of images unless `image_size` says another size; 0: the usual ones.
    `sizes` are heights and widths that annotations state of images, None where they state none.
    """

    items: Sequence[Item]
    largest: int = 0
    sizes: Sequence[tuple[int, int] | None] = ()


@dataclass(frozen=True, eq=False)
class Shapes:
    """Objects drawn in a picture of that height and width: the code of the class of each, and what it covers.

    That is a list of polygons, each x, y, x, y, …, or COCO's run lengths, {"size": …, "counts": …}.
    """

    size: tuple[int, int]
    objects: tuple[tuple[int, Any], ...]


MaskItem = Path | tuple[Path, ...] | Shapes | None
"""A mask: its file, files with one instance each, shapes, or None where there is none."""


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of the pictures in the column `of`, none of them drawn yet."""

    items: Sequence[MaskItem]
    of: str


@dataclass(frozen=True, eq=False)
class RawColumn:
    """A column as it stands in its source, and its `kind` where the source states it.

    `where` is the place that messages name, that of the table where it is empty; `key` that of images made of an array
    in the cache, by their content where it is empty; `media` the name of a column that turns out to hold such files.
    """

    name: str
    values: Values | Cells | Media | Masks
    kind: Kind | None = None
    where: str = ""
    key: str = ""
    media: str = ""


@dataclass(frozen=True, eq=False)
class RawTable:
    """The columns of one file, split or object in memory, of which nothing is inferred yet.

    `where` is the place that messages name, and `rows` are the names of rows in them, numbers where there are none.
    Names of images and sounds are looked up in `folder`. `ignored` are reasons why columns or files were left out,
    `notes` readings of what is no column, `label` the column that the source itself calls so, `headless` the reason why
    the first row of a file was read as values. `bad` are reasons why rows cannot be used.
    """

    columns: Sequence[RawColumn]
    name: str
    where: str
    part: NDArray[np.uint8] | None = None
    folder: Path | None = None
    rows: Sequence[str] = ()
    ignored: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    headless: str = ""
    bad: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Raw:
    """All that a reader yields: tables one under the other, each with its part, read when they are asked for.

    `given` are labels handed over beside them, `alias` a path that messages must not name, and the name in its place.
    """

    tables: Iterable[tuple[int, RawTable]]
    name: str
    source: str
    ignored: Mapping[str, str] = field(default_factory=dict)
    given: Values | None = None
    alias: tuple[str, str] | None = None


def alone(table: RawTable) -> Raw:
    """The only `table` of a source."""
    return Raw([(TRAINING, table)], table.name, table.where)


def input_columns(values: Rows, name: str, where: str, key: str) -> list[RawColumn]:
    """An input array as columns: a matrix of up to 64 columns as x0, x1, …; any other array as one column."""
    if len(values.shape) == 2 and values.shape[1] <= MOST_SEPARATE and isinstance(values, np.ndarray):
        return [RawColumn(f"{name}{at}", values[:, at], where=where) for at in range(values.shape[1])]
    return [RawColumn(name, values, where=where, key=key)]


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
