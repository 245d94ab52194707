"""Hoeffding tree: a decision tree that grows on a stream, with naive Bayes in its leaves."""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from manyways.methods.fields import Count, Interval
from manyways.methods.online._tree_method import TreeMethod
from manyways.methods.recommendations import Recommendation
from manyways.models.streams.trees import TreesHead


@dataclass(frozen=True, kw_only=True)
class HoeffdingTree(TreeMethod):
    """Learn a decision tree from a stream (VFDT): Hoeffding's bound says when a leaf has seen enough to be split.

    Numbers are split by Gaussian estimators, categories one against the others or with a branch for each. Leaves
    predict by naive Bayes or by their majority class, whichever was right more often there.
    """

    grace_period: Count = 200
    """Rows, by weight, that a leaf learns between two attempts to split it."""
    delta: Annotated[float, Interval("(0, 1)")] = 1e-7
    """Chance that a split is not the best one."""
    drift: Literal["none", "adwin"] = "none"
    """Test of the errors for a rise, by adaptive windows (Bifet & Gavaldà 2007); at one the tree begins anew."""
    adwin_delta: Annotated[float, Interval("(0, 1)")] = 0.002
    """Chance that adwin takes noise for a change, at each of its looks."""

    head_type: ClassVar = TreesHead
    recommends: ClassVar = {
        "any": Recommendation("a tree that grows row by row, as soon as it is sure of a split", 13),
    }
    paper: ClassVar = (
        "Domingos & Hulten, Mining high-speed data streams, KDD 2000; Gama, Rocha & Medas, Accurate decision trees for "
        "mining high-speed data streams, KDD 2003"
    )
    field_trials: ClassVar = {"adwin_delta": "ADWIN finds nothing in so few rows as a trial has labels."}

    @property
    def detector(self) -> str:
        return self.drift

    def shape(self, attributes: int) -> dict[str, Any]:
        return {"members": 1, "watched": False, "subset": attributes}

    def watching(self) -> dict[str, Any]:
        delta = 0.0 if self.drift == "none" else float(self.adwin_delta)
        return {"cumulated": np.empty(0), "warning_delta": 0.0, "drift_delta": delta}

    @property
    def compiled_pass(self) -> Any:
        from manyways.methods.online._tree_passes import hoeffding_tree_pass

        return hoeffding_tree_pass
