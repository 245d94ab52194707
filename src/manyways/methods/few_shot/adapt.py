"""Adapting a few-shot model to new classes."""

from dataclasses import dataclass
from typing import ClassVar

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Classes, Input
from manyways.models.few_shot_model import FewShotModel
from manyways.models.model import Model, of_kind
from manyways.training.budget import Budget
from manyways.training.run import Run


@dataclass(frozen=True, kw_only=True)
class Adapt(Method):
    """Turn a few-shot model to the classes of the labelled rows, in the way that it was trained for.

    Prototypes are their means, MAML takes its steps; the budget is not used. In Python `model.adapt(support)` does it.
    """

    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"classify", "embed"})
    takes: ClassVar = frozenset({"adapt"})
    requires_model: ClassVar = True
    suggests: ClassVar = ()
    paper: ClassVar = "Vinyals et al., Matching networks for one shot learning, NeurIPS 2016"

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        start = of_kind(FewShotModel, model)
        used = (data.part[data.rows] == TRAINING) & data.labelled
        return Learned(start.adapted(data), used, (start,))
