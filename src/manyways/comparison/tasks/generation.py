"""The task of drawing rows like those of the data."""

import numpy as np

from manyways.comparison.exhibits import Exhibit, Item
from manyways.comparison.likeness import judge_of
from manyways.comparison.showcase import row_shown
from manyways.comparison.tasks.base import Task
from manyways.data.data import Data
from manyways.models.generator import modelled
from manyways.models.model import Model

PICTURES, ROWS, REBUILT = 64, 8, 16
SEED = 0
DRAWN = "Drawn at random"
DRAWN_NOTE = "Rows that each model draws, none of them chosen."
AGAIN = "Put together again"
AGAIN_NOTE = "Test rows, each followed by what the model makes of it: of all its pixels it keeps a few numbers."
SCORED_ON_THE_WAY = 200


def _items(data: Data) -> list[Item]:
    labels = data.take(data.label.name).tolist() if data.has("label") else [""] * len(data)
    return [Item(*row_shown(data, row), caption=str(label)) for row, label in enumerate(labels)]


def _pictures(data: Data) -> bool:
    return any(column.kind == "image" for column in data.inputs)


class Generation(Task):
    """Drawing rows like those of the data."""

    name = "generation"
    precedence = 90
    gives = scored = frozenset({"sample"})
    metrics = ("frechet_distance", "sample_precision", "sample_recall", "bits_per_dimension", "nats_per_row")
    beside = metrics[:-1]

    def applies(self, data: Data) -> bool:
        return self.allowed(data) and not data.has("label") and data.inputs[0].kind == "image"

    def allowed(self, data: Data) -> bool:
        return data.environment is None and bool(data.inputs) and modelled(data) is None

    def prepare(self, data: Data) -> None:
        judge_of(data)

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        density = super().score(model, data, rows and SCORED_ON_THE_WAY) if "density" in model.gives else {}
        return {**judge_of(data).scores(model), **density}

    def exhibits(self, model: Model, test: Data) -> tuple[Exhibit, ...]:
        pictures = _pictures(test)
        drawn = Exhibit(DRAWN, DRAWN_NOTE, items=tuple(_items(model.sample(PICTURES if pictures else ROWS, seed=SEED))))
        if not (pictures and "reconstruct" in model.gives):
            return (drawn,)
        some = test.select(np.linspace(0, len(test) - 1, min(REBUILT, len(test))).astype(int))
        pairs = zip(_items(some), _items(model.reconstruct(some)), strict=True)
        return drawn, Exhibit(AGAIN, AGAIN_NOTE, items=tuple(item for pair in pairs for item in pair))

    def learned_from(self, data: Data, visible: Data) -> str:
        return f"{len(data.training):,} {'images' if _pictures(data) else 'rows'}"
