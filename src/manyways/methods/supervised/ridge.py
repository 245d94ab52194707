"""Ridge regression, of numbers and of classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from manyways.data.specs import Spec
from manyways.data.targets import Target
from manyways.errors import NeedsError
from manyways.methods.closed_form import ClosedForm, ClosedFormHead
from manyways.methods.fields import Positive
from manyways.models.moments import Moments

MOST_FEATURES = 8192
"""Features whose products with each other fit into memory: half a gigabyte."""
GRID = tuple(10 ** (power / 2) for power in range(-6, 7))
"""Penalties that are tried, as multiples of the mean eigenvalue."""
ROWS_AT_ONCE = 4096
TRUSTED = 1e-8 / 32
"""Relative error of the weights that is let pass: far enough below the guarantee for rows to be taken out often."""


class RidgeHead(ClosedFormHead):
    """One affine map, and the sums that it is the solution of.

    scatter [width + outputs, width + outputs]: the products of deviations from the mean, of the features and then of
    the labels: ±1 for each class, or the number. moments, label_moments: counts, sums and squares of both. coefficients
    [outputs, width], intercept [outputs], all float64; chosen: the penalty.
    """

    name = "ridge"
    scatter: Tensor
    coefficients: Tensor
    intercept: Tensor
    chosen: Tensor

    def __init__(self, width: int, outputs: int, penalty: float | None, standardise: bool, classes: bool) -> None:
        super().__init__()
        self.config = {
            "width": width, "outputs": outputs, "penalty": penalty, "standardise": standardise, "classes": classes,
        }  # fmt: skip
        self.width, self.outputs, self.classes = width, outputs, classes
        self.penalty, self.standardise = penalty, standardise
        self.condition, self.lost = 1.0, 1.0
        self.moments, self.label_moments = Moments(1, width), Moments(1, outputs)
        for name, shape in {
            "scatter": (width + outputs, width + outputs), "coefficients": (outputs, width), "intercept": (outputs,),
            "chosen": (),
        }.items():  # fmt: skip
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        return features.double() @ self.coefficients.T + self.intercept

    def add(self, features: Tensor, labels: Tensor) -> None:
        self._move(features, labels, 1)

    def remove(self, features: Tensor, labels: Tensor, left: NDArray[np.int64]) -> "RidgeHead":
        before = self.moments.variance() * self.moments.count
        self._move(features, labels, -1)
        after = self.moments.variance() * self.moments.count
        self.lost = float((before / after)[after > 0].amax()) if bool((after > 0).any()) else 1.0
        return self

    def _move(self, features: Tensor, labels: Tensor, sign: int) -> None:
        """Count rows in or out (Chan, Golub & LeVeque, Updating formulae for computing sample variances, 1979)."""
        wanted = self._wanted(labels)
        everyone = torch.zeros(len(features), dtype=torch.int64)
        first, mean = not self.moments.count.any(), self._mean()
        self.moments.move(features, everyone, sign)
        self.label_moments.move(wanted, everyone, sign)
        moved = self._mean() - mean
        if first:
            mean, moved = self._mean(), torch.zeros_like(moved)
        for some, said in zip(_parts(features), _parts(wanted), strict=True):
            deviations = torch.cat([some.double(), said], 1) - mean
            self.scatter.addmm_(deviations.T, deviations, alpha=sign)
        self.scatter.addr_(moved, moved, alpha=-float(self.moments.count))

    def _wanted(self, labels: Tensor) -> Tensor:
        return 2.0 * one_hot(labels, self.outputs).double() - 1 if self.classes else labels[:, None]

    def _mean(self) -> Tensor:
        return torch.cat([self.moments.mean(), self.label_moments.mean()], 1)[0]

    def select(self, kept: Tensor) -> "RidgeHead":
        head = RidgeHead(len(kept), self.outputs, self.penalty, self.standardise, self.classes)
        head.moments, head.label_moments, head.lost = self.moments.select(kept), self.label_moments, self.lost
        both = torch.cat([kept, self.width + torch.arange(self.outputs)])
        head.scatter.copy_(self.scatter[both][:, both])
        return head

    def solve(self, target: Target) -> None:
        spread = self.moments.variance()[0]
        varies = torch.nonzero(spread > 0).flatten()
        # What never varied, or varied in rows that are gone, is exactly that again: rounding leaves no trace.
        constant = torch.cat([spread, self.label_moments.variance()[0]]) == 0
        self.scatter[constant, :] = 0
        self.scatter[:, constant] = 0
        scale = spread[varies].sqrt() if self.standardise else torch.ones(len(varies), dtype=torch.float64)
        products = self.scatter[varies][:, varies] / scale / scale[:, None]
        wanted = self.scatter[varies, self.width :] / scale[:, None]
        weights, penalty, self.condition = self._solved(products, wanted)
        weights, unit = weights / scale[:, None], target.scale
        mean, said = self.moments.mean()[0], self.label_moments.mean()[0]
        self.chosen.fill_(penalty)
        self.coefficients.zero_()
        self.coefficients[:, varies] = weights.T / unit
        self.intercept.copy_((said - target.mean - mean[varies] @ weights) / unit)

    def _solved(self, products: Tensor, wanted: Tensor) -> tuple[Tensor, float, float]:
        """The weights, the penalty, and how much larger than an error in the sums one in the weights may be."""
        if not len(products):
            return wanted, self.penalty or 0.0, 1.0
        if self.penalty is not None:
            matrix = products + self.penalty * torch.eye(len(products), dtype=torch.float64)
            factor, failed = torch.linalg.cholesky_ex(matrix)
            if not failed:
                return torch.cholesky_solve(wanted, factor), self.penalty, condition_of(matrix, factor)
        values, vectors = torch.linalg.eigh(products)
        values, turned = values.clamp_min(0), vectors.T @ wanted
        spread, penalty = self.scatter.diagonal()[self.width :], self.penalty
        if penalty is None:
            penalty = best_penalty(values, turned, spread, int(self.moments.count))
        weights = vectors @ (turned / (values + penalty)[:, None])
        return weights, penalty, float((values[-1] + penalty) / (values[0] + penalty))

    def doubt(self) -> str | None:
        error = self.condition * self.lost * torch.finfo(torch.float64).eps
        if error <= TRUSTED:
            return None
        return (
            f"the features depend on each other so much (condition {self.condition:.1e}), or the rows stood out so far "
            f"({self.lost:.1e} times the others' variance), that rounding would show."
        )


def _parts(rows: Tensor) -> list[Tensor]:
    return list(torch.split(rows, ROWS_AT_ONCE))


def best_penalty(values: Tensor, turned: Tensor, spread: Tensor, rows: int) -> float:
    """The penalty with the least generalised cross-validation score (Golub, Heath & Wahba 1979).

    values: eigenvalues of the features' products [width]; turned [width, outputs]: their products with the labels, in
    the directions of the eigenvectors; spread [outputs]: squared deviations of the labels. All of them are sums over
    rows, so that the choice, too, is the one that the rows alone would give.
    """
    mean = float(values.mean()) or 1.0
    scores = {}
    for share in GRID:
        penalty = share * mean
        shrunk = values + penalty
        errors = spread.sum() - (turned.square() * ((values + 2 * penalty) / shrunk.square())[:, None]).sum()
        freedom = 1 - (1 + (values / shrunk).sum()) / rows
        if freedom > 0:
            scores[penalty] = float(errors.clamp_min(0) / rows / freedom.square())
    return min(scores, key=lambda penalty: scores[penalty]) if scores else GRID[-1] * mean


def condition_of(matrix: Tensor, factor: Tensor, turns: int = 20) -> float:
    """About the condition of a positive matrix: power iteration on it and, by its Cholesky `factor`, on its inverse."""
    start = torch.linspace(1, 2, len(matrix), dtype=torch.float64)[:, None]
    large, small = start, start
    for _ in range(turns):
        large, small = matrix @ (large / large.norm()), torch.cholesky_solve(small / small.norm(), factor)
    return float(large.norm() * small.norm())


@dataclass(frozen=True, kw_only=True)
class Ridge(ClosedForm):
    """Fit a linear model with an L2 penalty: least squares for numbers, and for classes with ±1 as the number of each.

    Over the features of a model it is a linear probe. It keeps the products of all pairs of features, so that rows can
    be forgotten at the cost of solving for the weights alone.
    """

    penalty: Positive | None = None
    """L2 penalty, scikit-learn's alpha. None: by generalised cross-validation."""
    standardise: bool = True
    """Whether the penalty is on the weights of standardised features."""

    needs: ClassVar = ("input", "label")
    paper: ClassVar = "Hoerl & Kennard, Ridge regression, Technometrics 1970"

    def make_head(self, specs: Mapping[str, Spec] | None, width: int, target: Target) -> RidgeHead:
        if width > MOST_FEATURES:
            raise NeedsError(
                f"Ridge keeps the products of all pairs of features, and here are {width:,}; {MOST_FEATURES:,} are the "
                "most. Put a model with fewer before it, or learn with linear-probe."
            )
        return RidgeHead(width, target.width, self.penalty, self.standardise, target.classification)
