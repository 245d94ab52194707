"""Linear probe: a linear model on frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.groups import groups_of
from manyways.data.targets import Target, predictions
from manyways.methods.bases.feature import FeatureMethod
from manyways.methods.expected import Say, announce, seconds_of
from manyways.methods.features import AUTO
from manyways.methods.fields import Positive
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Input, RowLabel
from manyways.methods.recommendations import Profile, Recommendation
from manyways.models.heads import LinearHead
from manyways.models.model import Model
from manyways.models.predictor import Predictor
from manyways.training.budget import Budget
from manyways.training.learner import label_weights
from manyways.training.run import Run

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

GRID, USUAL = (0.01, 0.1, 1.0, 10.0, 100.0), 1.0
"""Penalties to choose from, and that where nothing is left to validate on."""
LARGE = 1 << 30
"""Products in a pass over the rows, from which on it is measured how long a fit takes."""
TYPICAL_PASSES = 100
TRIED = 512
"""Rows by which a pass over all of them is measured."""


@dataclass(frozen=True, kw_only=True)
class LinearProbe(FeatureMethod):
    """Fit logistic regression, or ridge regression for numbers, on the frozen features of a model.

    Without a model the features are the raw inputs: pixels, table cells, log-mel energies, latent semantics of text.
    That is plain logistic regression, the baseline to beat. Features are standardised; the strength of the penalty is
    picked by cross-validation on the labelled rows unless it is given.
    """

    penalty: Positive | None = None
    """L2 penalty: the inverse of scikit-learn's C for classes, its alpha for numbers. None: by cross-validation."""
    class_weight: Literal["balanced"] | None = None
    """Weights of the classes in the loss; balanced: each class weighs the same, however many its rows. None: as is."""

    needs: ClassVar = (Input, RowLabel)
    uses: ClassVar = ("weight",)
    gives: ClassVar = predictions(structured=False) | {"embed"}
    recommends: ClassVar = {"any": Recommendation("a linear model of the inputs as networks see them, in seconds", 46)}
    paper: ClassVar = "Alain & Bengio, Understanding intermediate layers using linear classifier probes (2016)"

    @classmethod
    def recommendation(cls, profile: Profile, method: Method) -> Recommendation:
        if getattr(method, "backbone", AUTO) != AUTO:
            return Recommendation("a linear layer on the features of the pretrained checkpoint, in seconds", 4)
        if method.needs_start():
            return Recommendation("a linear layer on the features of a trained network, in seconds", 12)
        return super().recommendation(profile, method)

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        target = Target.fit(data)
        frozen = self.features(data, model, seed, run)
        rows = data.training.select(data.training.labelled)
        features, labels = frozen.of(rows), target.encode(rows)
        mean, scale = features.mean(0), features.std(0)
        scale[scale < 1e-6] = 1.0
        say = partial(announce, run, budget)
        weights = self._weights(rows, target, labels)
        fitting = Fitting(self.penalty, seed, weights, say, groups_of(rows))
        weight, bias = FITS[target.activation]((features - mean) / scale, labels, target.width, fitting)
        with torch.random.fork_rng():  # a new layer draws weights, which are replaced at once
            head = LinearHead(frozen.network.width, target.width)
        with torch.no_grad():
            head.linear.weight.copy_(torch.from_numpy(weight / scale))
            head.linear.bias.copy_(torch.from_numpy(bias - weight @ (mean / scale)))
        frozen.network.head = head
        used = (data.part[data.rows] == 0) & (data.labelled | frozen.uses_all_rows)
        return Learned(Predictor(network=frozen.network, inputs=frozen.encoding, target=target), used, frozen.parents)

    def _weights(self, rows: Data, target: Target, labels: NDArray[Any]) -> NDArray[np.float64] | None:
        balanced = self.class_weight == "balanced"
        weights = label_weights(rows, target, torch.from_numpy(labels), balanced=balanced)
        return None if weights is None else weights.double().numpy()


@dataclass(frozen=True)
class Fitting:
    """The arguments of a scikit-learn fit besides features and labels.

    `weights` are sample weights, or None; rows of one of the `groups`, where there are any, are validated on together.
    """

    penalty: float | None
    seed: int
    weights: NDArray[np.float64] | None
    say: Say
    groups: NDArray[np.int64] | None = None


def logistic(
    features: NDArray[Any], labels: NDArray[Any], classes: int, penalty: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights [classes, width] and offsets [classes] of a logistic regression; classes without rows are improbable."""
    return _logistic(features, labels, classes, Fitting(penalty, 0, None, lambda *_: None))


def _logistic(
    features: NDArray[Any], labels: NDArray[Any], classes: int, fitting: Fitting
) -> tuple[NDArray[Any], NDArray[Any]]:
    from sklearn.linear_model import LogisticRegression

    def make(strength: float) -> LogisticRegression:
        return LogisticRegression(C=1 / strength, max_iter=2000)

    if len(seen := np.unique(labels)) == 1:  # nothing to tell apart: a shard, or a client, may hold one class
        return np.zeros((classes, features.shape[1])), np.where(np.arange(classes) == seen[0], 0.0, -30.0)
    penalty = fitting.penalty
    fewest = int(np.bincount(labels)[np.unique(labels)].min())
    if penalty is None and min(fewest, _number_of(fitting.groups, 2)) < 2:
        penalty = USUAL  # a class with one row, or a single group, leaves nothing to validate on
    if features.size * len(seen) > LARGE:
        each = _seconds_of_a_pass(features, labels)
        fits = 1 if penalty is not None else 1 + len(GRID) * min(5, fewest)
        often = "once" if fits == 1 else f"{fits} times"
        work = f"Fitting {len(seen):,} classes on {len(features):,} rows, {often},"
        instead = f"Ridge takes seconds{'.' if fits == 1 else ', and penalty=1.0 fits once.'}"
        fitting.say(fits * TYPICAL_PASSES * each, work, instead)
    if penalty is None:
        folds = _folds(labels, min(5, fewest), fitting)
        scores = [_validated(make(strength), features, labels, folds, fitting.weights) for strength in GRID]
        penalty = GRID[int(np.argmax(scores))]
    fitted = make(penalty).fit(features, labels, sample_weight=fitting.weights)
    weight, bias = np.zeros((classes, features.shape[1])), np.full(classes, -30.0)
    if len(fitted.classes_) == 2:  # scikit-learn keeps one row of weights for two classes
        weight[fitted.classes_], bias[fitted.classes_] = (
            np.stack([-fitted.coef_[0], fitted.coef_[0]]) / 2,
            0.0,
        )
        bias[fitted.classes_] = np.array([-0.5, 0.5]) * fitted.intercept_[0]
    else:
        weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    return weight, bias


def _number_of(groups: NDArray[np.int64] | None, otherwise: int) -> int:
    return otherwise if groups is None else len(np.unique(groups))


def _folds(labels: NDArray[Any], most: int, fitting: Fitting) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Rows to fit on and rows to validate on, `most` times at the most, in proportion to the classes."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if fitting.groups is None:
        plain = StratifiedKFold(most, shuffle=True, random_state=fitting.seed)
        return list(plain.split(labels, labels))
    together = StratifiedGroupKFold(
        min(most, _number_of(fitting.groups, most)), shuffle=True, random_state=fitting.seed
    )  # fmt: skip
    return list(together.split(labels, labels, fitting.groups))


def _validated(
    model: "LogisticRegression", features: NDArray[Any], labels: NDArray[Any],
    folds: Sequence[tuple[NDArray[Any], NDArray[Any]]], weights: NDArray[np.float64] | None,
) -> float:  # fmt: skip
    """The mean over folds of minus the log loss on the rows left out, weighted where rows are."""
    from sklearn.metrics import log_loss

    scores = []
    for kept, others in folds:
        left = others[np.isin(labels[others], labels[kept])]  # a class may be of one group alone
        some, rest = (None, None) if weights is None else (weights[kept], weights[left])
        if not len(left) or len(np.unique(labels[kept])) < 2 or (rest is not None and not rest.any()):
            continue
        model.fit(features[kept], labels[kept], sample_weight=some)
        said = model.predict_proba(features[left])
        scores.append(-log_loss(labels[left], said, sample_weight=rest, labels=model.classes_))
    return float(np.mean(scores)) if scores else 0.0


def _seconds_of_a_pass(features: NDArray[Any], labels: NDArray[Any]) -> float:
    """Seconds of one loss and its gradient over all rows, by its products on some of them and all classes."""
    some, classes = features[:TRIED], len(np.unique(labels))
    weights = np.zeros((classes, features.shape[1]), features.dtype)

    def a_pass() -> None:
        said = some @ weights.T
        np.exp(said, out=said)
        said.T @ some

    a_pass()
    return seconds_of(a_pass) * len(features) / len(some)


def _logistic_each(
    features: NDArray[Any], labels: NDArray[Any], classes: int, fitting: Fitting
) -> tuple[NDArray[Any], NDArray[Any]]:
    """A logistic regression for each class that a row may have or not (binary relevance)."""
    weight, bias = np.zeros((classes, features.shape[1])), np.zeros(classes)
    for at in range(classes):
        both, offsets = _logistic(features, labels[:, at].astype(np.int64), 2, fitting)
        weight[at], bias[at] = both[1] - both[0], offsets[1] - offsets[0]
    return weight, bias


def _ridge(
    features: NDArray[Any], labels: NDArray[Any], outputs: int, fitting: Fitting
) -> tuple[NDArray[Any], NDArray[Any]]:
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.model_selection import GroupKFold

    unfitted: Ridge | RidgeCV = RidgeCV(alphas=GRID)
    if fitting.penalty is not None:
        unfitted = Ridge(alpha=fitting.penalty)
    elif (count := _number_of(fitting.groups, 1)) > 1:  # else each row is predicted by all others
        folds = GroupKFold(min(5, count)).split(features, labels, fitting.groups)
        unfitted = RidgeCV(alphas=GRID, cv=list(folds))
    fitted = unfitted.fit(features, labels, sample_weight=fitting.weights)
    return fitted.coef_[None], np.atleast_1d(fitted.intercept_)


FITS = {"softmax": _logistic, "sigmoid": _logistic_each, "identity": _ridge}
"""The fit of a linear model for outputs of each activation."""
