"""Adaptive random forest: Hoeffding trees on random draws of a stream, each replaced when it drifts."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from manyways.methods.fields import Count, Interval, Positive
from manyways.methods.online._tree_method import SPLITS_SOON, TreeMethod
from manyways.methods.recommendations import Recommendation
from manyways.models.streams.forest import ForestHead


@dataclass(frozen=True, kw_only=True)
class AdaptiveRandomForest(TreeMethod):
    """Learn a forest of Hoeffding trees from a stream that changes.

    Each tree learns a row as often as a Poisson number says, and each leaf looks at a random subset of the inputs. A
    detector of each tree warns of drift by its errors: a background tree begins to learn then, and takes the tree's
    place when a stricter detector finds a drift. Trees vote with their probabilities, by the share of the rows that
    they were right about since they began. `drifts` are the rows at which a tree was replaced.
    """

    trees: Count = 10
    """Trees of the forest."""
    grace_period: Count = 50
    """Rows, by weight, that a leaf learns between two attempts to split it."""
    delta: Annotated[float, Interval("(0, 1)")] = 0.01
    """Chance that a split is not the best one."""
    draws: Positive = 6.0
    """Mean of the Poisson number of times that a tree learns a row."""
    max_features: Count | None = None
    """Inputs that a leaf looks at; None: the square root of their number, rounded, and one more."""
    warning_delta: Annotated[float, Interval("[0, 1)")] = 0.01
    """Chance that the warning detector takes noise for a change, at each of its looks; 0: no background trees."""
    drift_delta: Annotated[float, Interval("[0, 1)")] = 0.001
    """The same of the drift detector; 0: no tree is ever replaced."""

    head_type: ClassVar = ForestHead
    recommends: ClassVar = {
        "any": Recommendation("trees that vote, each replaced when it drifts: the strongest on most streams", 9),
    }
    paper: ClassVar = (
        "Gomes et al., Adaptive random forests for evolving data stream classification, Machine Learning 2017"
    )
    field_trials: ClassVar = {
        "warning_delta": "ADWIN finds nothing in so few rows as a trial has labels.",
        "drift_delta": "ADWIN finds nothing in so few rows as a trial has labels.",
        "max_features": {**SPLITS_SOON, "max_features": 1},
    }

    def shape(self, attributes: int) -> dict[str, Any]:
        subset = round(attributes**0.5) + 1 if self.max_features is None else self.max_features
        return {"members": self.trees, "watched": True, "subset": min(attributes, subset)}

    def watching(self) -> dict[str, Any]:
        from manyways.methods.online._random import poisson_table

        warning, drift = float(self.warning_delta), float(self.drift_delta)
        return {"cumulated": poisson_table(float(self.draws)), "warning_delta": warning, "drift_delta": drift}

    @property
    def compiled_pass(self) -> Any:
        from manyways.methods.online._tree_passes import adaptive_random_forest_pass

        return adaptive_random_forest_pass
