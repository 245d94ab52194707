"""Matching networks."""

from dataclasses import dataclass, replace
from typing import ClassVar

from manyways.data.data import Data
from manyways.methods.bases.metric import MetricMethod
from manyways.methods.fields import Positive
from manyways.methods.method import Ablations
from manyways.models.few_shot.matching import Matching


@dataclass(frozen=True, kw_only=True)
class MatchingNet(MetricMethod):
    """Learn features by which a row is told by attention over the examples of all classes, even new ones.

    In every episode P(k | x) is the sum over the shots xᵢ of class k of the softmax of cos(f(x), f(xᵢ)) over all shots:
    each example counts by itself, where a prototype is the mean of its class. Embeddings are of single rows, without
    the paper's full-context option. A class never trained needs a few examples: `model.adapt(support)`.
    """

    temperature: Positive = 0.1
    """Divides the cosines before the softmax; the paper's 1 keeps P(k | x) within e² of an equal share, from which
    little is learned where an episode has many classes."""

    paper: ClassVar = "Vinyals et al., Matching networks for one shot learning, NeurIPS 2016"

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "differences of attention": (replace(self, temperature=1e6), data)}

    def adaptation(self) -> Matching:
        return Matching(self.temperature)
