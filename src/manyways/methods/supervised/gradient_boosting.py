"""Gradient boosting of decision trees over histograms."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.bases._trees import histogram_trees, joined
from manyways.methods.bases.estimator import SET_ASIDE, Fitting
from manyways.methods.bases.trees import TreeMethod
from manyways.methods.fields import Count, Interval, NotNegative, Positive
from manyways.methods.method import Method
from manyways.methods.recommendations import Profile, Recommendation
from manyways.models.estimators.base import put
from manyways.models.estimators.features import category_codes_of
from manyways.models.estimators.trees import TreesHead

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

MANY_ROWS = 10_000
"""Rows above which scikit-learn stops early where nothing else is said."""

ENOUGH = 100
"""Labels from which on it is recommended first."""


@dataclass(frozen=True, kw_only=True)
class GradientBoosting(TreeMethod):
    """Add up small decision trees, each of which corrects those before it: scikit-learn's histogram gradient boosting.

    Missing numbers and categories go the way that lowers the loss, categories are split into sets, and one that was
    never seen counts as missing. Of a column of more than 255 categories the 254 most frequent are told apart, and all
    others are one. Early stopping sets a tenth of the labelled rows aside for itself.
    """

    learning_rate: Positive = 0.1
    """Share of each tree's values that is added."""
    max_iter: Count = 100
    """Rounds: trees, of several classes one for each in every round."""
    max_leaf_nodes: Annotated[int, Interval("[2, inf)")] = 31
    """Most leaves of a tree."""
    max_depth: Count | None = None
    """Most splits from the root to a leaf; None: as many as the leaves allow."""
    min_samples_leaf: Count = 20
    """Fewest rows of a leaf."""
    l2_regularization: NotNegative = 0.0
    """L2 penalty on the values of leaves."""
    early_stopping: bool | None = None
    """True to end when ten rounds have not lowered the loss on a tenth of the rows; None: from 10,001 rows on."""
    quantile: Annotated[float, Interval("(0, 1)")] | None = None
    """Quantile of a number that is predicted, such as 0.9, by the pinball loss; None: its mean. Two models with the
    quantiles 0.05 and 0.95 give an interval for nine rows in ten."""
    class_weight: Literal["balanced"] | None = None
    """Weights of the classes in the loss; balanced: each class weighs the same, however many its rows. None: as is."""

    # scikit-learn finds the bins of weighted rows in a loop of Python: that takes longer than all trees together.
    weighs_forecasts: ClassVar = False
    field_trials: ClassVar = {
        "max_leaf_nodes": {"max_leaf_nodes": 3, "min_samples_leaf": 2},
        "max_depth": {"max_depth": 1, "min_samples_leaf": 2},
    }
    recommends: ClassVar = {
        "table": Recommendation("each tree mends the errors of those before: the strongest plain choice on tables", 1),
        "any": Recommendation("trees over every input beside the others, in seconds", 24),
    }
    paper: ClassVar = (
        "Friedman, Greedy function approximation: a gradient boosting machine, Annals of Statistics 2001; Ke et al., "
        "LightGBM, NeurIPS 2017"
    )

    @classmethod
    def recommendation(cls, profile: Profile, method: Method) -> Recommendation:
        if profile.labels < ENOUGH:  # a leaf has 20 rows at least, so that few have no tree
            rank = 29 if profile.kind == "table" else 60
            return Recommendation(f"its leaves are of many rows: at its best from {ENOUGH} labels on", rank)
        return super().recommendation(profile, method)

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        if self.quantile is not None and data.label_kind != "number":
            return f"a quantile is of numbers, and the label {data.label.name!r} is none. Leave quantile out."
        return None

    def head_of(self, fitting: Fitting) -> TreesHead:
        estimator = self.estimator(fitting)
        self._fit(estimator, fitting)
        trees: Any = histogram_trees(estimator)
        baseline = np.asarray(estimator._baseline_prediction, np.float64).ravel()
        learned = len(np.unique(fitting.labels)) if fitting.classification else 0
        head = joined(trees, outputs=fitting.outputs, learned=learned, raw=len(baseline), mean=False)
        put(head, baseline=baseline)
        return head

    def estimator(self, fitting: Fitting) -> "HistGradientBoostingClassifier | HistGradientBoostingRegressor":
        """The estimator of scikit-learn, not yet fitted."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        categories = len(category_codes_of(fitting.encoding))
        options: dict[str, Any] = {
            "learning_rate": self.learning_rate, "max_iter": self.max_iter, "max_leaf_nodes": self.max_leaf_nodes,
            "max_depth": self.max_depth, "min_samples_leaf": self.min_samples_leaf,
            "l2_regularization": self.l2_regularization, "early_stopping": self._stops(fitting),
            "categorical_features": np.arange(fitting.features.shape[1]) < categories,
            "random_state": fitting.seed,
        }  # fmt: skip
        if fitting.classification:
            return HistGradientBoostingClassifier(class_weight=self.class_weight, **options)
        loss = {} if self.quantile is None else {"loss": "quantile", "quantile": self.quantile}
        return HistGradientBoostingRegressor(**loss, **options)

    def _fit(self, estimator: Any, fitting: Fitting) -> None:
        """Fit `estimator`; where rows belong together, none of a group is on both sides of what it stops early by."""
        rows, weights, apart = fitting.features, fitting.weights, fitting.aside
        stops = estimator.early_stopping is True or (estimator.early_stopping == "auto" and rows.shape[0] > MANY_ROWS)
        if apart is None or not stops:
            estimator.fit(rows, fitting.labels, sample_weight=weights)
            return
        left = ~apart
        if fitting.classification and len(np.unique(fitting.labels[left])) < len(np.unique(fitting.labels)):
            estimator.set_params(early_stopping=False)  # a class is of one group alone
            estimator.fit(rows, fitting.labels, sample_weight=weights)
            return
        own, others = (None, None) if weights is None else (weights[left], weights[apart])
        estimator.set_params(early_stopping=True)
        estimator.fit(
            rows[left], fitting.labels[left], sample_weight=own,
            X_val=rows[apart], y_val=fitting.labels[apart], sample_weight_val=others,
        )  # fmt: skip

    def _stops(self, fitting: Fitting) -> "bool | Literal['auto']":
        """scikit-learn's `early_stopping`; where rows of each class cannot be set aside, it is off, or refused."""
        if self.early_stopping is False or not fitting.classification:
            return "auto" if self.early_stopping is None else self.early_stopping
        counts = np.unique(fitting.labels, return_counts=True)[1]
        if counts.min() >= 2 and math.ceil(SET_ASIDE * counts.sum()) >= len(counts):
            return "auto" if self.early_stopping is None else self.early_stopping
        if self.early_stopping:
            raise NeedsError(
                f"{self} cannot set a row of each class aside to stop early: of {len(counts)} classes one has "
                f"{counts.min():,} of {counts.sum():,} labelled rows. Label more rows, or leave early_stopping out."
            )
        return False
