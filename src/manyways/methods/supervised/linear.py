"""Linear models: logistic and ridge regression."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from manyways.methods.bases.design import DesignMethod, has_texts, linear_head
from manyways.methods.bases.estimator import Fitting
from manyways.methods.fields import Positive
from manyways.methods.recommendations import Recommendation
from manyways.models.estimators.linear_scores import LinearScoresHead

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

MOST_ITERATIONS = 1000
LARGE = 1 << 26
"""Products in a pass over sparse rows, from which on rows are taken one by one."""
TOLERANCE = 1e-2
"""The largest change of a weight in a pass by which such a fit ends, relative to the largest weight."""


@dataclass(frozen=True, kw_only=True)
class Linear(DesignMethod):
    """Fit logistic regression for classes, or ridge regression for numbers, on the raw inputs.

    Texts are sparse TF-IDF of their words (one and two) and of the characters within words (two to five), with
    logarithmic counts and not standardised; numbers, pixels and log-mel energies are standardised, categories one-hot.
    Of many classes of many texts the solver is stochastic average gradient (SAG): seconds where L-BFGS takes minutes.
    """

    C: Positive | None = None
    """Inverse of the L2 penalty for classes; None: 10 with texts, 1 without."""
    alpha: Positive = 1.0
    """L2 penalty for numbers."""
    class_weight: Literal["balanced"] | None = None
    """Weights of the classes in the loss; balanced: each class weighs the same, however many its rows. None: as is."""

    recommends: ClassVar = {
        "text": Recommendation("words and pieces of words, weighed: what a text network must beat", 1),
        "any": Recommendation("a weight for each input, in seconds: what all others must beat", 2),
    }
    paper: ClassVar = (
        "Cox, The regression analysis of binary sequences, JRSS B 1958; Hoerl & Kennard, Ridge regression, "
        "Technometrics 1970; Spärck Jones, A statistical interpretation of term specificity, Journal of Documentation "
        "1972"
    )
    several_outputs: ClassVar = True
    field_trials: ClassVar = {"alpha": "It is the penalty for numbers, and a trial has classes."}

    def head_of(self, fitting: Fitting) -> LinearScoresHead:
        if not fitting.classification:
            from sklearn.linear_model import Ridge

            ridge = Ridge(alpha=self.alpha, random_state=fitting.seed)
            ridge.fit(fitting.features, fitting.labels, sample_weight=fitting.weights)
            return linear_head(ridge.coef_, ridge.intercept_, fitting.outputs, 0)
        estimator = self.estimator(fitting)
        estimator.fit(fitting.features, fitting.labels, sample_weight=fitting.weights)
        return linear_head(estimator.coef_, estimator.intercept_, fitting.outputs, len(estimator.classes_))

    def estimator(self, fitting: Fitting) -> "LogisticRegression":
        """The estimator of scikit-learn for classes, not yet fitted."""
        from sklearn.linear_model import LogisticRegression

        C = self.C or (10.0 if has_texts(fitting.encoding) else 1.0)
        options: dict[str, Any] = {"C": C, "class_weight": self.class_weight}
        products = getattr(fitting.features, "nnz", 0) * fitting.classes
        if fitting.classes > 2 and products > LARGE:
            return LogisticRegression(solver="sag", tol=TOLERANCE, random_state=fitting.seed, max_iter=100, **options)
        return LogisticRegression(max_iter=MOST_ITERATIONS, **options)
