"""Parts of networks and of data: a backbone, a sampler, a view, a decoder, a likelihood, a kind of column, …"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.comparison.tasks.base import Task
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoders.base import CheckpointTokenizer, Encoder
from manyways.data.kinds import ColumnKind
from manyways.data.specs import ImageSpec, Spec, TableSpec
from manyways.data.storage import RowNumbers
from manyways.data.targets.number import NumberTarget
from manyways.data.views.base import View
from manyways.metrics import Metric
from manyways.models.backbones.base import Backbone
from manyways.models.backbones.tokens import Tokens
from manyways.models.generative.decoders import PerceptronDecoder
from manyways.models.generative.likelihoods import Bernoulli
from manyways.training.samplers import Epochs


class Flat(Backbone):
    """One layer over a table."""

    name = "one-layer"
    kinds = ("table",)

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__(width, inputs=inputs, width=width)
        self.layer = nn.Linear(inputs, width)

    @classmethod
    def sized(cls, spec: Spec, size: float = 1.0) -> dict[str, Any]:
        assert isinstance(spec, TableSpec)
        return {"name": cls.name, "inputs": spec.width, "width": 16}

    def tokens(self, x: Tensor) -> Tokens:
        return Tokens(self.layer(x).relu()[:, None], None, (1,))

    def layer_groups(self) -> list[list[nn.Parameter]]:
        return [list(self.parameters())]


class Backwards(Epochs):
    """Epochs from the last row to the first."""

    name = "backwards"

    def positions(self, pool: RowNumbers, size: int, step: int, seed: int) -> RowNumbers:
        picked: RowNumbers = super().positions(pool, size, step, seed)[::-1].copy()
        return picked


@dataclass(frozen=True)
class TableJitter(View):
    """Twice as much noise as in the weak view."""

    name: ClassVar = "table-jitter"
    spec: TableSpec

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        return batch + 0.1 * torch.randn(batch.shape, generator=rng).to(batch.device)


class Tall(PerceptronDecoder):
    """A perceptron with one hidden layer."""

    name = "tall"

    @classmethod
    def for_spec(cls, spec: ImageSpec | TableSpec, latent: int, outputs: int, size: float) -> "Tall":
        shape = (
            [spec.width * outputs]
            if isinstance(spec, TableSpec)
            else [spec.channels * outputs, spec.height, spec.width]
        )
        return cls(latent, [24], shape)


class Coin(Bernoulli):
    """Pixels that are black or white."""

    name = "coin"


class Hex(ColumnKind):
    """Colours such as #ff8000."""

    name = modality = "hex"
    words = ("colour", "colours")


@dataclass(frozen=True)
class HexEncoder(Encoder):
    """A column of colours as float32 [rows, 3], red, green and blue from -1 to 1."""

    kind: ClassVar[str] = "hex"
    column: str

    @classmethod
    def fit(
        cls, columns: list[Column], rows: RowNumbers, known: CheckpointTokenizer | None = None, *, plain: bool = False
    ) -> Self:
        return cls(columns[0].name)

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def spec(self) -> TableSpec:
        return TableSpec(3, ((0, 1), (1, 2), (2, 3)), (0, 1, 2))

    def encode(self, columns: list[Column], rows: RowNumbers) -> NDArray[Any]:
        cells = columns[0].take(rows).tolist()
        values = [[int(str(cell)[at : at + 2], 16) / 127.5 - 1 for at in (1, 3, 5)] for cell in cells]
        return np.array(values, np.float32).reshape(len(rows), 3)

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        return cls(str(saved["column"]))


class Stars(ColumnKind):
    """Ratings such as ★★★."""

    name = modality = "stars"
    words = ("rating", "ratings")


WITHIN_ONE = Metric("within_one")


@dataclass(frozen=True)
class StarTarget(NumberTarget):
    """A rating in stars, learned as a number."""

    kind = "stars"
    column_kind = "stars"
    gives = "starred"
    task = "rating"
    metrics = ("within_one",)

    @classmethod
    def fitted(cls, data: Data) -> Self:
        return cls(data.label.name, 3.0, 1.0)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        return np.array([len(value) - self.mean for value in values.tolist()], np.float32)

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        return np.array(["★" * int(np.clip(round(float(code) + self.mean), 1, 5)) for code in codes], object)

    def scores(self, outputs: NDArray[Any], codes: NDArray[Any]) -> dict[str, float]:
        return {"within_one": float((np.abs(outputs[:, 0] - codes) <= 1).mean())}

    def review(self, outputs: NDArray[Any], codes: NDArray[Any], most: int, spread: int) -> Any:
        from manyways.data.targets.base import Review

        rows = np.argsort(-np.abs(outputs[:, 0] - codes), kind="stable")[:most]
        truth, said = self.decode(codes[rows]).tolist(), self.predict(outputs[rows]).tolist()
        return Review(rows, truth, said, [None] * len(rows))


class Shady(Task):
    """Predicting a class of rows that have a shade."""

    name = "shady"
    gives = frozenset({"classify"})
    metrics = ("accuracy",)
    labelled = True
    precedence = 40

    def asked(self, data: Data) -> bool:
        return data.has("shade") and data.has("label") and data.classification

    def scored_on(self, data: Data) -> str:
        return f"{len(data.test)} shady rows"


PARTS: Sequence[type] = (Flat, Backwards, TableJitter, Tall, Coin, HexEncoder, StarTarget, Shady)
HEX, STARS = Hex(), Stars()
