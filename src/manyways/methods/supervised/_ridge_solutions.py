"""Solutions of ridge regression: in the space of the features, or in that of the rows where those are fewer."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from manyways.methods.supervised._tridiagonal import Array, Tridiagonal

GRID = tuple(10 ** (power / 2) for power in range(-6, 7))
"""Penalties that are tried, as multiples of the mean eigenvalue."""


@dataclass(frozen=True, eq=False)
class Solution:
    """Weights float64 [outputs, width], the penalty, and how much larger an error in them may be than in the sums."""

    weights: Tensor
    penalty: float
    condition: float = 1.0


def primal_solution(products: Tensor, wanted: Tensor, spread: float, rows: int, penalty: float | None) -> Solution:
    """Solve (P + λ) W = C for sums over rows.

    products P [width, width]: of the features with each other; wanted Cᵀ [outputs, width]: of the labels with them;
    spread: the squared deviations of all labels; rows: how many; penalty λ: None picks it.
    """
    if not len(products):
        return Solution(wanted, penalty or 0.0)
    if penalty is not None:
        matrix = products + penalty * torch.eye(len(products), dtype=torch.float64)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return Solution(torch.cholesky_solve(wanted.T, factor).T, penalty, condition_of(matrix, factor))
        values, vectors = torch.linalg.eigh(products)
        values = values.clamp_min(0)
        weights = wanted @ vectors / (values + penalty) @ vectors.T
        return Solution(weights, penalty, float((values[-1] + penalty) / (values[0] + penalty)))
    form = Tridiagonal(products.numpy())
    turned = form.turned(wanted.T.numpy())

    def residual(penalty: float, solved: Array) -> float:
        return spread - float((turned * solved).sum()) - penalty * float(np.square(solved).sum())

    penalty, solved = _best(form, turned, residual, rows, len(products))
    weights = torch.from_numpy(np.ascontiguousarray(form.back(solved).T))
    return Solution(weights, penalty, float((form.values[-1] + penalty) / (form.values[0] + penalty)))


def dual_solution(centred: Tensor, labels: Tensor, penalty: float | None) -> Solution:
    """Solve (X Xᵀ + λ) A = Y for the rows themselves; the weights are Aᵀ X.

    centred X [rows, width]: the features without their mean, rows fewer than width; labels: codes int64 [rows] of
    classes that are all there, whose Y is ±1 for each, or numbers float64 [rows] without their mean; penalty λ: None
    picks it.
    """
    rows, width = centred.shape
    classes = labels.dtype == torch.int64
    codes = 2.0 * one_hot(labels).double() - 1 if classes else labels[:, None]  # at most rows by rows
    codes = codes - codes.mean(0)
    if not width:
        return Solution(torch.zeros(codes.shape[1], 0, dtype=torch.float64), penalty or 0.0)
    form = Tridiagonal((centred @ centred.T).numpy())
    turned = form.turned(codes.numpy())
    if penalty is None:
        penalty, solved = _best(form, turned, lambda at, found: at**2 * float(np.square(found).sum()), rows, width)
    else:
        solved = form.solved(turned, penalty)
    return Solution(torch.from_numpy(form.back(solved)).T @ centred, penalty)


def _best(
    form: Tridiagonal, turned: Array, residual: Callable[[float, Array], float], rows: int, width: int
) -> tuple[float, Array]:
    """The penalty with the least generalised cross-validation score (Golub, Heath & Wahba 1979), and its solution.

    residual: the squared errors of a penalty and its solution, summed. All of it follows from sums over rows, so that
    the choice, too, is the one that the rows alone would give.
    """
    mean = float(form.values.sum()) / width or 1.0
    scores = {}
    for share in GRID:
        penalty = share * mean
        freedom = 1 - (1 + float((form.values / (form.values + penalty)).sum())) / rows
        if freedom > 0:
            errors = residual(penalty, form.solved(turned, penalty))
            scores[penalty] = max(errors, 0.0) / rows / freedom**2
    best = min(scores, key=lambda penalty: scores[penalty]) if scores else GRID[-1] * mean
    return best, form.solved(turned, best)


def condition_of(matrix: Tensor, factor: Tensor, turns: int = 20) -> float:
    """About the condition of a positive matrix: power iteration on it and, by its Cholesky `factor`, on its inverse."""
    start = torch.linspace(1, 2, len(matrix), dtype=torch.float64)[:, None]
    large, small = start, start
    for _ in range(turns):
        large, small = matrix @ (large / large.norm()), torch.cholesky_solve(small / small.norm(), factor)
    return float(large.norm() * small.norm())
