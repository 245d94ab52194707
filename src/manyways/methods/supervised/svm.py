"""Support vector machines."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from manyways.data.data import Data
from manyways.methods.bases.design import DesignMethod, has_texts, linear_head
from manyways.methods.bases.estimator import Fitting
from manyways.methods.fields import Positive
from manyways.methods.recommendations import Recommendation
from manyways.models.estimators.base import EstimatorHead, put
from manyways.models.estimators.kernel import KernelHead

if TYPE_CHECKING:
    from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

MANY = 20_000
"""Rows from which on the kernel is linear, as a radial one takes time that grows with their square."""
MOST_ITERATIONS = 10_000


@dataclass(frozen=True, kw_only=True)
class SVM(DesignMethod):
    """Separate classes by the widest margin: scikit-learn's linear or radial support vector machine.

    Its probabilities are the softmax of margins, which order rows but are not calibrated; of several classes a radial
    machine votes by pairs, and a linear one sets each against the rest. Numbers are fitted standardised, within a tenth
    of their deviation.
    """

    C: Positive | None = None
    """Inverse of the L2 penalty; None: 0.5 of a linear machine on texts, 1 otherwise."""
    kernel: Literal["auto", "linear", "radial"] = "auto"
    """Kernel; auto: linear with texts or more than 20,000 labelled rows, otherwise radial."""
    gamma: Positive | None = None
    """Width of the radial kernel exp(-γ d²); None: one over the number of features times their variance."""
    class_weight: Literal["balanced"] | None = None
    """Weights of the classes in the loss; balanced: each class weighs the same, however many its rows. None: as is."""

    recommends: ClassVar = {
        "text": Recommendation("the widest margin over words and pieces of words: as strong as linear", 9),
        "any": Recommendation("the widest margin, by distances to a few rows, in seconds", 22),
    }
    paper: ClassVar = (
        "Cortes & Vapnik, Support-vector networks, Machine Learning 1995; Fan et al., LIBLINEAR, JMLR 2008"
    )

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        if self.kernel == "radial" and any(column.kind == "text" for column in data.inputs):
            return "a radial kernel is of tables, images and sounds, and there is text. Leave kernel out."
        return None

    def head_of(self, fitting: Fitting) -> EstimatorHead:
        estimator: Any = self.estimator(fitting)
        numbers = not fitting.classification
        mean, scale = (fitting.labels.mean(), fitting.labels.std() or 1.0) if numbers else (0.0, 1.0)
        labels = (fitting.labels - mean) / scale if numbers else fitting.labels
        estimator.fit(fitting.features, labels, sample_weight=fitting.weights)
        learned = 0 if numbers else len(estimator.classes_)
        if hasattr(estimator, "coef_") and not hasattr(estimator, "support_"):
            weights, bias = np.atleast_2d(estimator.coef_) * scale, np.ravel(estimator.intercept_) * scale + mean
            if learned == 2:  # the margins of both classes, as of more, are those against the rest
                weights, bias = 2 * weights, 2 * bias
            return linear_head(weights, bias, fitting.outputs, learned)
        return _written(estimator, fitting, learned, (float(mean), float(scale)))

    def estimator(self, fitting: Fitting) -> "SVC | SVR | LinearSVC | LinearSVR":
        """The estimator of scikit-learn, not yet fitted; of numbers, for standardised ones."""
        from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

        texts = has_texts(fitting.encoding)
        many = fitting.features.shape[0] > MANY
        linear = self.kernel == "linear" or (self.kernel == "auto" and (texts or many)) or fitting.sparse
        C = self.C or (0.5 if linear and texts else 1.0)
        if linear:
            options: dict[str, Any] = {"C": C, "random_state": fitting.seed, "max_iter": MOST_ITERATIONS}
            if fitting.classification:
                return LinearSVC(class_weight=self.class_weight, **options)
            return LinearSVR(epsilon=0.1, loss="squared_epsilon_insensitive", dual="auto", **options)
        gamma = "scale" if self.gamma is None else self.gamma
        if fitting.classification:
            return SVC(C=C, gamma=gamma, class_weight=self.class_weight, break_ties=True, random_state=fitting.seed)
        machine = SVR(C=C, gamma=gamma)
        machine.random_state = fitting.seed  # no argument of it; without one it would draw from the global generator
        return machine


def _written(estimator: Any, fitting: Fitting, learned: int, unit: tuple[float, float]) -> KernelHead:
    gamma = estimator.gamma
    if gamma == "scale":  # as scikit-learn has it
        variance = float(np.var(fitting.features))
        gamma = 1 / (fitting.features.shape[1] * variance) if variance else 1.0
    vectors = estimator.support_vectors_
    head = KernelHead(fitting.outputs, learned, len(vectors), vectors.shape[1], float(gamma))
    put(head, vectors=vectors, weights=estimator.dual_coef_, bias=estimator.intercept_, unit=np.array(unit))
    if learned:
        put(head, starts=np.concatenate([[0], np.cumsum(estimator.n_support_)]))
    return head
