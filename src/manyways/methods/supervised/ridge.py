"""Ridge regression, of numbers and of classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.specs import Spec
from manyways.data.targets import Target
from manyways.data.targets.number import unit_of
from manyways.errors import NeedsError
from manyways.methods.bases.closed_form import ClosedForm, ClosedFormHead
from manyways.methods.fields import Positive
from manyways.methods.needs import Input, Label
from manyways.methods.recommendations import Recommendation
from manyways.methods.supervised._ridge_solutions import Solution, dual_solution, primal_solution
from manyways.models.moments import Moments

LARGEST = 8192
"""Features, or rows where those are fewer, whose products with each other fit into memory: half a gigabyte."""
ROWS_AT_ONCE = 4096
TRUSTED = 1e-8 / 32
"""Relative error of the weights that is let pass: far enough below the guarantee for rows to be taken out often."""


class RidgeHead(ClosedFormHead):
    """One affine map, and what it is solved from: sums over rows, or the rows where they are fewer than features.

    The primal form has scatter [width, width] and cross [outputs, width], the products of deviations from the mean, of
    the features with each other and of the labels with them. The dual form has `count` rows themselves: rows float32
    [count, width] and labels [count]. Labels are ±1 for each class, or the number; no sum is as large as rows by
    classes. moments: counts, sums and squares of the features; class_counts [outputs] rows of each class, or
    label_moments those of a number. coefficients [outputs, width], intercept [outputs], float64; chosen: the penalty.
    """

    name = "ridge"
    scatter: Tensor
    cross: Tensor
    rows: Tensor
    labels: Tensor
    class_counts: Tensor
    label_moments: Moments
    coefficients: Tensor
    intercept: Tensor
    chosen: Tensor

    def __init__(
        self,
        width: int,
        outputs: int,
        penalty: float | None,
        standardise: bool,
        classes: bool,
        count: int | None = None,
    ) -> None:
        super().__init__()
        self.config = {
            "width": width, "outputs": outputs, "penalty": penalty, "standardise": standardise, "classes": classes,
            "count": count,
        }  # fmt: skip
        self.width, self.outputs, self.classes = width, outputs, classes
        self.penalty, self.standardise = penalty, standardise
        self.dual, self.condition, self.lost = False, 1.0, 1.0
        self.moments = Moments(1, width)
        for name, shape in {"coefficients": (outputs, width), "intercept": (outputs,), "chosen": ()}.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        if classes:
            self.register_buffer("class_counts", torch.zeros(outputs, dtype=torch.int64))
        else:
            self.label_moments = Moments(1, 1)
        if count is not None:
            self._make_room(count)

    def _make_room(self, count: int) -> None:
        """Make room for `count` rows; for sums where it is 0."""
        self.config["count"], self.dual = count, count > 0
        if self.dual:
            self.register_buffer("rows", torch.zeros(count, self.width))
            self.register_buffer("labels", torch.zeros(count, dtype=torch.int64 if self.classes else torch.float64))
        else:
            self.register_buffer("scatter", torch.zeros(self.width, self.width, dtype=torch.float64))
            self.register_buffer("cross", torch.zeros(self.outputs, self.width, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return features.double() @ self.coefficients.T + self.intercept

    def add(self, features: Tensor, labels: Tensor) -> None:
        if min(features.shape) > LARGEST:
            raise NeedsError(
                f"Ridge keeps the products of all pairs of features, or of rows where those are fewer, and here are "
                f"{self.width:,} features of {len(features):,} rows; {LARGEST:,} of either are the most. Put a model "
                "with fewer features before it, or learn with linear-probe."
            )
        self._make_room(len(features) if len(features) < self.width else 0)
        if self.dual:
            self.rows.copy_(features)
            self.labels.copy_(labels)
        self._move(features, labels, 1)

    def remove(self, features: Tensor, labels: Tensor, left: NDArray[np.int64]) -> "RidgeHead":
        if self.dual:
            places = torch.from_numpy(left)
            return self._of(self.rows[places], self.labels[places])
        before = self.moments.variance() * self.moments.count
        self._move(features, labels, -1)
        after = self.moments.variance() * self.moments.count
        self.lost = float((before / after)[after > 0].amax()) if bool((after > 0).any()) else 1.0
        return self

    def select(self, kept: Tensor) -> "RidgeHead":
        if self.dual:
            return self._of(self.rows[:, kept], self.labels)
        head = RidgeHead(**{**self.config, "width": len(kept)})
        head.moments, head.lost = self.moments.select(kept), self.lost
        if self.classes:
            head.class_counts = self.class_counts
        else:
            head.label_moments = self.label_moments
        head.scatter.copy_(self.scatter[kept][:, kept])
        head.cross.copy_(self.cross[:, kept])
        return head

    def _of(self, features: Tensor, labels: Tensor) -> "RidgeHead":
        """A head like this one of other rows."""
        head = RidgeHead(**{**self.config, "width": features.shape[1], "count": None})
        head.add(features, labels)
        return head

    def _move(self, features: Tensor, labels: Tensor, sign: int) -> None:
        """Count rows in or out (Chan, Golub & LeVeque, Updating formulae for computing sample variances, 1979)."""
        everyone = torch.zeros(len(features), dtype=torch.int64)
        first, mean, label_mean = not self.moments.count.any(), self.moments.mean()[0], self._label_mean()
        self.moments.move(features, everyone, sign)
        if self.classes:
            self.class_counts += sign * torch.bincount(labels, minlength=self.outputs)
        else:
            self.label_moments.move(labels[:, None], everyone, sign)
        if self.dual:
            return
        if first:
            mean, label_mean = self.moments.mean()[0], self._label_mean()
        pieces = (torch.split(given, ROWS_AT_ONCE) for given in (features, labels))
        for some, wanted in zip(*pieces, strict=True):
            deviations = some.double() - mean
            self.scatter.addmm_(deviations.T, deviations, alpha=sign)
            if self.classes:  # ±1 for each class is twice the sum over its own rows, less the sum over all
                self.cross.index_add_(0, wanted, deviations, alpha=2 * sign)
                self.cross.addr_(1 + label_mean, deviations.sum(0), alpha=-sign)
            else:
                self.cross.addmm_((wanted - label_mean)[None], deviations, alpha=sign)
        moved = self.moments.mean()[0] - mean
        self.scatter.addr_(moved, moved, alpha=-float(self.moments.count))
        self.cross.addr_(self._label_mean() - label_mean, moved, alpha=-float(self.moments.count))

    def _label_mean(self) -> Tensor:
        """The mean of the labels, float64 [outputs]."""
        if self.classes:
            return 2 * self.class_counts / self.moments.count.clamp_min(1).double() - 1
        return self.label_moments.mean()[0]

    def _spread(self) -> Tensor:
        """The squared deviations of the labels from their mean, summed over the rows, float64 [outputs]."""
        if self.classes:
            of_class = self.class_counts.double()
            return 4 * of_class * (self.moments.count - of_class) / self.moments.count.clamp_min(1)
        return self.label_moments.variance()[0] * self.moments.count

    def solve(self, target: Target) -> None:
        spread = self.moments.variance()[0]
        varies = torch.nonzero(spread > 0).flatten()
        scale = spread[varies].sqrt() if self.standardise else torch.ones(len(varies), dtype=torch.float64)
        mean, label_mean, (middle, unit) = self.moments.mean()[0], self._label_mean(), unit_of(target)
        found = self._dual(varies, mean, scale) if self.dual else self._primal(spread, varies, scale)
        weights, self.condition = found.weights / scale, found.condition
        self.chosen.fill_(found.penalty)
        self.coefficients.zero_()
        self.coefficients[:, varies] = weights / unit
        self.intercept.copy_((label_mean - middle - weights @ mean[varies]) / unit)

    def _primal(self, spread: Tensor, varies: Tensor, scale: Tensor) -> Solution:
        # What never varied, or varied in rows that are gone, is exactly that again: rounding leaves no trace.
        constant = spread == 0
        self.scatter[constant, :] = 0
        self.scatter[:, constant] = 0
        self.cross[:, constant] = 0
        self.cross[self._spread() == 0] = 0
        products = self.scatter[varies][:, varies] / scale / scale[:, None]
        wanted = self.cross[:, varies] / scale
        return primal_solution(products, wanted, float(self._spread().sum()), int(self.moments.count), self.penalty)

    def _dual(self, varies: Tensor, mean: Tensor, scale: Tensor) -> Solution:
        centred = (self.rows[:, varies].double() - mean[varies]) / scale
        if self.classes:
            seen, codes = torch.unique(self.labels, return_inverse=True)
            found = dual_solution(centred, codes, self.penalty)
            weights = torch.zeros(self.outputs, len(varies), dtype=torch.float64).index_copy_(0, seen, found.weights)
            return Solution(weights, found.penalty)
        return dual_solution(centred, self.labels - self._label_mean(), self.penalty)

    def doubt(self) -> str | None:
        if self.dual:
            return None
        if int(self.moments.count) < self.width:
            return f"{int(self.moments.count):,} rows would be left, fewer than features, of which it keeps the rows."
        error = self.condition * self.lost * torch.finfo(torch.float64).eps
        if error <= TRUSTED:
            return None
        return (
            f"the features depend on each other so much (condition {self.condition:.1e}), or the rows stood out so far "
            f"({self.lost:.1e} times the others' variance), that rounding would show."
        )


@dataclass(frozen=True, kw_only=True)
class Ridge(ClosedForm):
    """Fit a linear model with an L2 penalty: least squares for numbers, and for classes with ±1 as the number of each.

    Over the features of a model it is a linear probe. It keeps the products of all pairs of features, so that rows can
    be forgotten at the cost of solving for the weights alone; where there are more features than rows it is solved in
    its dual form, and keeps the features of the rows instead.
    """

    penalty: Positive | None = None
    """L2 penalty, scikit-learn's alpha. None: by generalised cross-validation."""
    standardise: bool = True
    """True to put the penalty on the weights of standardised features."""

    needs: ClassVar = (Input, Label)
    recommends: ClassVar = {
        "any": Recommendation("least squares in closed form: a moment, and rows are forgotten exactly", 40),
    }
    paper: ClassVar = "Hoerl & Kennard, Ridge regression, Technometrics 1970"

    def make_head(self, specs: Mapping[str, Spec] | None, width: int, target: Target) -> RidgeHead:
        return RidgeHead(width, target.width, self.penalty, self.standardise, target.classification)
