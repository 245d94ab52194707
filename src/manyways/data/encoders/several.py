"""Sets of classes as numbers, one for each class: multi-hot codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.kinds import classes_in
from manyways.data.specs import TableSpec
from manyways.data.storage import RowNumbers


@dataclass(frozen=True)
class SeveralEncoder(Encoder):
    """One column of sets as float32 [rows, classes], each class standardised; classes that training never saw are 0."""

    kind: ClassVar[str] = "several"

    column: str
    classes: tuple[str, ...]
    shares: tuple[float, ...]

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> Self:
        (column,) = columns
        cells = [classes_in(cell) for cell in column.take(rows).tolist() if cell is not None]
        classes = tuple(sorted({name for cell in cells for name in cell}))
        counts = dict.fromkeys(classes, 0)
        for cell in cells:
            for name in cell:
                counts[name] += 1
        shares = () if plain else tuple(counts[name] / max(1, len(cells)) for name in classes)
        return cls(column.name, classes, shares)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> TableSpec:
        width = len(self.classes)
        return TableSpec(width, tuple((at, at + 1) for at in range(width)), tuple(range(width)))

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[Any]:
        (column,) = columns
        places = {name: at for at, name in enumerate(self.classes)}
        codes = np.zeros((len(rows), len(self.classes)), np.float32)
        for row, cell in enumerate(column.take(rows).tolist()):
            for name in () if cell is None else classes_in(cell):
                if name in places:
                    codes[row, places[name]] = 1
        if not self.shares:
            return codes
        shares = np.asarray(self.shares, np.float32)
        scale = np.sqrt(shares * (1 - shares))
        return np.asarray((codes - shares) / np.where(scale > 0, scale, 1), np.float32)

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "classes": list(self.classes), "shares": list(self.shares)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        return cls(str(saved["column"]), tuple(map(str, saved["classes"])), tuple(map(float, saved["shares"])))
