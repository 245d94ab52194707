"""Sliding-window nearest neighbours: the newest rows of a stream that are nearest to a row say what it is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import ModelError
from manyways.methods.fields import Count, Interval
from manyways.methods.online._begin import Begun, Growth
from manyways.methods.online._inputs import Inputs
from manyways.methods.online._method import StreamMethod
from manyways.methods.recommendations import Recommendation
from manyways.models.streams.head import StreamHead
from manyways.models.streams.neighbours import NeighboursHead

if TYPE_CHECKING:
    from manyways.data.targets import Target
    from manyways.methods.online._neighbour_reader import NeighbourReader


@dataclass(frozen=True, kw_only=True)
class SlidingWindowNeighbours(StreamMethod):
    """Predict by the k nearest neighbours of a row among the newest of a stream: what is older is forgotten.

    Distances are Euclidean, of inputs by their running standard deviation. With a drift detector the rows of before a
    drift are forgotten at once (kNN with ADWIN, as in MOA).
    """

    neighbours: Count = 5
    """Nearest rows that are asked."""
    remembered: Count = 1000
    """Newest rows that are remembered."""
    weights: Literal["distance", "uniform"] = "distance"
    """Weights of the neighbours: one over their distance, or all alike."""
    standardise: bool = True
    """True to divide each input by its running standard deviation."""
    drift: Literal["none", "adwin"] = "none"
    """Test of the errors for a rise, by adaptive windows (Bifet & Gavaldà 2007)."""
    adwin_delta: Annotated[float, Interval("(0, 1)")] = 0.002
    """Chance that adwin takes noise for a change, at each of its looks."""

    recommends: ClassVar = {
        "any": Recommendation("the labels of the most similar rows among the newest", 14),
    }
    paper: ClassVar = (
        "Fix & Hodges, Discriminatory analysis, 1951; Bifet, Pfahringer, Read & Holmes, Efficient data stream "
        "classification via probabilistic adaptive windows, SAC 2013"
    )
    field_trials: ClassVar = {
        "remembered": {"remembered": 3},
        "adwin_delta": "ADWIN finds nothing in so few rows as a trial has labels.",
    }

    def new_head(self, inputs: Inputs, target: "Target", seed: int) -> StreamHead:
        return NeighboursHead(
            inputs.network.width, target.width, target.classification, self.neighbours, self.weights == "distance",
            self.standardise, detector=self.drift,
        )  # fmt: skip

    def grown_head(self, before: StreamHead, growth: Growth) -> StreamHead:
        assert isinstance(before, NeighboursHead)
        if before.standardise != self.standardise:
            raise ModelError(
                f"SlidingWindowNeighbours.standardise must be {before.standardise}, as it was for the rows that the "
                f"model learned; got {self.standardise}."
            )
        sizes = {"width": growth.inputs.network.width, "outputs": growth.target.width, "detector": self.drift,
                 "neighbours": self.neighbours, "by_distance": self.weights == "distance"}  # fmt: skip
        head = NeighboursHead(**{**before.config, **sizes})
        head.take_over(before)
        old, new = before.state, head.state
        new.mean[growth.columns], new.variance[growth.columns] = old.mean, old.variance
        new.memory[growth.columns], new.seen[growth.outputs] = old.memory, old.seen
        new.labels[:] = growth.outputs[old.labels.astype(np.int64)] if before.classes else old.labels
        return head

    def reader(self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any]) -> "NeighbourReader":
        from manyways.methods.online._neighbour_passes import NeighbourSettings
        from manyways.methods.online._neighbour_reader import NeighbourReader

        settings = NeighbourSettings(
            neighbours=self.neighbours,
            remembered=self.remembered,
            by_distance=self.weights == "distance",
            standardise=self.standardise,
            adwin_delta=0.0 if self.drift == "none" else float(self.adwin_delta),
            window=self.window,
        )
        return NeighbourReader(begun, data, positions, labels, settings)
