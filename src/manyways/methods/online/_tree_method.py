"""TreeMethod: the base of methods that grow Hoeffding trees on a stream."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import ModelError
from manyways.methods.fields import Count, Interval, NotNegative
from manyways.methods.needs import Classes, Input
from manyways.methods.online._begin import Begun, Growth
from manyways.methods.online._inputs import Inputs, attributes_of
from manyways.methods.online._method import StreamMethod
from manyways.models.streams.attributes import Attributes
from manyways.models.streams.head import StreamHead
from manyways.models.streams.trees import LEAF_PREDICTIONS, OWN, TreesHead
from manyways.randomness import mix

if TYPE_CHECKING:
    from manyways.data.targets import Target
    from manyways.methods.online._tree_reader import TreeReader

WORDS = {"members": "trees", "watched": "detectors", "subset": "inputs that a leaf looks at"}
SPLITS_SOON = {"grace_period": 5, "delta": 0.9, "tau": 10.0}
"""With these a few rows are enough for a split."""


@dataclass(frozen=True, kw_only=True)
class TreeMethod(StreamMethod):
    """Grow Hoeffding trees on a stream: a leaf is split as soon as it is sure which split is the best.

    A leaf keeps, of each class, a Gaussian estimator of every number and counts of every category. It takes
    `classes · (7 · attributes + categories)` numbers of 8 bytes, and there are `max_leaves` at most; after that the
    leaves there are go on counting.
    """

    grace_period: Count
    delta: Annotated[float, Interval("(0, 1)")]
    tau: NotNegative = 0.05
    """Bound below which splits count as equally good, and one of the best is taken."""
    leaf_prediction: Literal["adaptive", "naive_bayes", "majority"] = "adaptive"
    """Prediction in a leaf: naive Bayes, the majority class, or whichever was right more often there."""
    max_leaves: Count = 10_000
    """Leaves of all trees at most."""

    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"classify"})
    uses: ClassVar = ("weight",)
    head_type: ClassVar[type[TreesHead]]

    field_trials: ClassVar = {
        "delta": {"grace_period": 5, "tau": 0.0, "delta": 1 - 1e-9},
        "tau": {"grace_period": 5, "tau": 10.0},
        "grace_period": SPLITS_SOON,
        "max_leaves": {**SPLITS_SOON, "max_leaves": 1},
    }

    @abstractmethod
    def shape(self, attributes: int) -> dict[str, Any]:
        """The number of trees (`members`), if each has detectors (`watched`), the attributes of a leaf (`subset`)."""

    @property
    def detector(self) -> str:
        """The drift detector of the predictions of all trees together: "none" or "adwin"."""
        return "none"

    @abstractmethod
    def watching(self) -> "Mapping[str, Any]":
        """The settings of a pass that say how often rows are learned, and which drifts are looked for."""

    @property
    @abstractmethod
    def compiled_pass(self) -> Any:
        """The pass that learns rows."""

    def new_head(self, inputs: Inputs, target: "Target", seed: int) -> StreamHead:
        width, nominal = inputs.network.width, attributes_of(inputs)
        shape = self.shape(len(Attributes.of_json(width, nominal).cardinalities))
        head = self.head_type(
            width, target.width, nominal, leaf_prediction=self.leaf_prediction, detector=self.detector, **shape
        )
        if shape["watched"]:  # a single tree draws nothing
            head.state.random[0] = mix(seed, 1)
        return head

    def grown_head(self, before: StreamHead, growth: Growth) -> StreamHead:
        assert isinstance(before, TreesHead)
        nominal = attributes_of(growth.inputs)
        for name, size in self.shape(len(before.attributes.cardinalities)).items():
            if size != before.config[name]:
                raise ModelError(
                    f"The model has {before.config[name]} {WORDS[name]}, and {self} would have {size}. Go on with the "
                    "fields that it was made with, or begin anew: without the model."
                )
        sizes = {"width": growth.inputs.network.width, "outputs": growth.target.width, "nominal": nominal}
        head = type(before)(
            **{**before.config, **sizes, "leaf_prediction": self.leaf_prediction, "detector": self.detector}
        )
        head.take_over(before)
        old, new, outputs = before.state, head.state, growth.outputs
        for name in set(OWN) - {"seen", "class_weights", "estimates", "categories"}:
            getattr(new, name)[...] = getattr(old, name)
        new.seen[outputs] = old.seen
        new.class_weights[:, outputs] = old.class_weights
        new.estimates[:, outputs] = old.estimates
        known = _places(before.attributes, head.attributes)
        new.categories[np.ix_(np.arange(len(new.leaves)), outputs, known)] = old.categories
        return head

    def reader(self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any]) -> "TreeReader":
        from manyways.methods.online._tree_passes import TreeSettings
        from manyways.methods.online._tree_reader import TreeReader

        assert isinstance(begun.head, TreesHead)
        settings = TreeSettings(
            grace_period=float(self.grace_period),
            delta=float(self.delta),
            tau=float(self.tau),
            prediction=LEAF_PREDICTIONS[self.leaf_prediction],
            most_leaves=self.max_leaves,
            cardinalities=begun.head.attributes.cardinalities,
            offsets=begun.head.attributes.offsets,
            window=self.window,
            **self.watching(),
        )
        return TreeReader(begun, data, positions, labels, settings, self.compiled_pass)


def _places(before: Attributes, after: Attributes) -> NDArray[np.int64]:
    """The places among the categories `after` of those `before`: new ones come behind the others of their attribute."""
    parts = [after.offsets[at] + np.arange(max(0, size)) for at, size in enumerate(before.cardinalities.tolist())]
    return np.concatenate([np.empty(0, np.int64), *parts])
