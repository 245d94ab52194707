"""Random forests."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch

from manyways.methods.bases._trees import forest_trees, joined
from manyways.methods.bases.estimator import Fitting
from manyways.methods.bases.trees import TreeMethod
from manyways.methods.fields import Count, Interval
from manyways.methods.recommendations import Recommendation
from manyways.models.estimators.trees import TreesHead

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class RandomForest(TreeMethod):
    """Let many deep decision trees vote, each grown on rows drawn with replacement: scikit-learn's random forest.

    Missing numbers go the way that splits best. Categories are one-hot, a missing or new one is none of them; of a
    column of more than 255 the 254 most frequent are told apart, and all others are one.
    """

    trees: Count = 100
    """Trees; scikit-learn's n_estimators."""
    max_depth: Count | None = None
    """Most splits from the root to a leaf; None: until leaves are pure."""
    min_samples_leaf: Count = 1
    """Fewest rows of a leaf."""
    max_features: Annotated[float, Interval("(0, 1]")] | None = None
    """Share of the features that a split may choose from; None: of classes the square root of their number, of numbers
    all."""
    class_weight: Literal["balanced"] | None = None
    """Weights of the classes; balanced: each class weighs the same, however many its rows. None: as is."""

    one_hot: ClassVar = True
    several_outputs: ClassVar = True
    recommends: ClassVar = {
        "table": Recommendation("the vote of many trees: strong on tables, and hard to set wrongly", 3),
        "any": Recommendation("the vote of many trees over the inputs, in seconds", 25),
    }
    paper: ClassVar = "Breiman, Random forests, Machine Learning 2001"

    def head_of(self, fitting: Fitting) -> TreesHead:
        estimator = self.estimator(fitting)
        features = np.clip(np.asarray(fitting.features), -LARGEST, LARGEST)
        estimator.fit(features, fitting.labels, sample_weight=fitting.weights)
        learned = len(estimator.classes_) if fitting.classification else 0
        trees = forest_trees(estimator.estimators_)
        return joined(trees, outputs=fitting.outputs, learned=learned, raw=learned or fitting.outputs, mean=True)

    def estimator(self, fitting: Fitting) -> "RandomForestClassifier | RandomForestRegressor":
        """The estimator of scikit-learn, not yet fitted."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        options: dict[str, Any] = {
            "n_estimators": self.trees, "max_depth": self.max_depth, "min_samples_leaf": self.min_samples_leaf,
            "random_state": fitting.seed, "n_jobs": torch.get_num_threads(),
        }  # fmt: skip
        if fitting.classification:
            share = "sqrt" if self.max_features is None else float(self.max_features)
            return RandomForestClassifier(class_weight=self.class_weight, max_features=share, **options)
        share = 1.0 if self.max_features is None else float(self.max_features)
        return RandomForestRegressor(max_features=share, **options)
