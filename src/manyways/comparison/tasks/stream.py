"""The task of predicting each row of a stream before it is learned."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from manyways.comparison.tasks.base import Task
from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.methods.method import Method
from manyways.methods.online._method import StreamMethod
from manyways.methods.saved import method_from_json
from manyways.methods.starts import last
from manyways.models.model import Model
from manyways.models.stream import StreamPredictor

PREFIX = "prequential_"


class Stream(Task):
    """Prequential evaluation on the last part of a stream: each test row is predicted, then learned.

    It is asked for by its metrics, on data with a time. Only methods that learn row by row can be scored so.
    """

    name = "stream"
    precedence = 80
    gives = frozenset({"classify", "regress"})
    metrics = ("prequential_accuracy", "prequential_mean_absolute_error", "prequential_root_mean_squared_error")
    by_all = True

    def allowed(self, data: Data) -> bool:
        return data.has("time") and len(data.labels) == 1 and bool(data.inputs)

    def enters(self, method: Method) -> bool:
        return isinstance(last(method), StreamMethod)

    def references(self, data: Data) -> Mapping[str, str]:
        return {"no-change": "no change", "running-majority": "majority class or mean so far"}

    def score(self, model: Model, data: Data, rows: int | None) -> dict[str, float]:
        if not isinstance(model, StreamPredictor) or model.target is None:
            return {}
        method = method_from_json(model.lineage.method)
        after = method.fit(_to_learn(data.test), model)
        return prequential_between(model, after) if isinstance(after, StreamPredictor) else {}

    def scored_on(self, data: Data) -> str:
        return f"{len(data.test):,} test rows, each predicted before it was learned"


def prequential_between(before: StreamPredictor, after: StreamPredictor) -> dict[str, float]:
    """The prequential scores of the rows that `after` has learned beyond `before`."""
    count = after.rows - before.rows
    first, second = before.head.state.numbers[0], after.head.state.numbers[0]
    error = float(second["error"] - first["error"]) / count
    if after.head.classes:
        return {f"{PREFIX}accuracy": 1 - error}
    squares = float(second["squared_error"] - first["squared_error"]) / count
    return {f"{PREFIX}mean_absolute_error": error, f"{PREFIX}root_mean_squared_error": squares**0.5}


def _to_learn(test: Data) -> Data:
    """Test rows as rows that may be learned, with their labels."""
    part, visible = test.part.copy(), test.visible.copy()
    part[test.rows], visible[test.rows] = TRAINING, test.known
    return replace(test, part=np.asarray(part), visible=visible)
