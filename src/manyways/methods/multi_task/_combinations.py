"""Combinations of the losses and the gradients of several labels: plain functions.

Gradients are those of the weights that labels share, [labels, weights]. All that a combination of them needs is their
Gram matrix [labels, labels], of their inner products; what it gives are weights [labels] of the gradients.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NOTHING = 1e-12
"""Squared length, beside that of all gradients together, below which a combination has no direction."""
RIDGE = 1e-9
"""Multiple of the identity that is added to a Gram matrix of trace 1, so that a projection is the only one."""


def by_uncertainty(losses: Tensor, log_variances: Tensor, classes: Tensor) -> Tensor:
    """Losses [labels] weighted by what a model does not know of each label (Kendall, Gal & Cipolla 2018, section 3).

    log_variances: s = log σ² of each label, learned; classes: bool, which of them are cross-entropies. Σ L e^−s + s/2
    for classes, Σ L e^−s / 2 + s/2 for squared errors.
    """
    precisions = torch.where(classes, 1.0, 0.5) * (-log_variances).exp()
    return (precisions * losses + log_variances / 2).sum()


def gradnorm_loss(loss_weights: Tensor, norms: Tensor, progress: Tensor, alpha: float) -> Tensor:
    """GradNorm's loss of the loss weights (Chen et al. 2018, equation 2): Σ |w_i ‖g_i‖ − mean_j w_j ‖g_j‖ · r_i^α|.

    Args:
        loss_weights: The weights w [labels], learned by this loss alone.
        norms: Lengths ‖g_i‖ of the gradients of the unweighted losses [labels].
        progress: Losses as parts of the first ones, L_i / L_i(0) [labels]; r_i is that beside its mean.
        alpha: Strength of the pull towards one rate of learning: 0 makes all weighted gradients equally long.
    """
    lengths = loss_weights * norms.detach()
    rates = (progress / progress.mean()).detach()
    # The targets are constants: otherwise all lengths could shrink together.
    return (lengths - lengths.mean().detach() * rates**alpha).abs().sum()


def without_conflicts(products: Tensor, orders: Sequence[Sequence[int]]) -> Tensor:
    """Weights [labels] of the labels' gradients whose sum is PCGrad's (Yu et al. 2020, algorithm 1).

    products: the inner products of the gradients [labels, labels]; orders: in which order each label's gradient looks
    at the others. Where two point against each other, the part of the one along the other is taken out.
    """
    kept = torch.eye(len(products), dtype=products.dtype, device=products.device)
    for own, others in enumerate(orders):
        for other in others:
            along = kept[own] @ products[:, other]
            if other != own and along < 0:
                kept[own, other] -= along / products[other, other]
    return kept.sum(0)


def conflict_averse(products: NDArray[np.float64], c: float) -> NDArray[np.float64]:
    """Weights [labels] of the gradients whose sum is CAGrad's (Liu et al. 2021, algorithm 1).

    That is d: of all vectors within c ‖g₀‖ of the mean gradient g₀ the one whose least product with a gradient is the
    greatest. The dual problem has a variable per label: the w in the simplex with the least g_w · g₀ + c ‖g₀‖ ‖g_w‖,
    of g_w = Σ w_i g_i; then d = g₀ + c ‖g₀‖ / ‖g_w‖ g_w. Where g_w is 0, nothing is better for all, and d is 0.
    """
    from scipy.optimize import minimize

    count = len(products)
    scale = np.trace(products)
    if scale <= 0:
        return np.full(count, 1 / count)
    gram = products / scale
    mean = np.full(count, 1 / count)
    radius = c * np.sqrt(max(mean @ gram @ mean, 0))

    def dual(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        along = gram @ weights
        length = np.sqrt(max(weights @ along, NOTHING))
        return float(along @ mean + radius * length), gram @ mean + radius * along / length

    options = {"ftol": 1e-14, "maxiter": 200}
    simplex: Any = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(count)}
    solved = minimize(
        dual, mean, jac=True, method="SLSQP", bounds=[(0, 1)] * count, constraints=simplex, options=options
    )
    best = np.clip(solved.x, 0, None)
    best = best / best.sum()
    length = np.sqrt(max(best @ gram @ best, 0))
    if length**2 <= NOTHING:
        return np.zeros(count)
    weights: NDArray[np.float64] = mean + radius / length * best
    return weights


def unconflicting_projections(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [labels] of the gradients whose sum is UPGrad's (Quinton & Rey, Jacobian descent, 2024).

    Each gradient is projected onto the dual cone: the directions against which no gradient points. The projection of
    g_i is Σ v_j g_j with the least length where v_i ≥ 1 and all others ≥ 0, a problem of non-negative least squares in
    a root of the Gram matrix; UPGrad is the mean of all projections.
    """
    from scipy.optimize import nnls

    count = len(products)
    scale = np.trace(products)
    if scale <= 0:
        return np.full(count, 1 / count)
    values, vectors = np.linalg.eigh(products / scale)  # rounding may leave small ones below 0
    factor = np.sqrt(values.clip(0) + RIDGE)[:, None] * vectors.T
    weights = [unit + nnls(factor, -factor @ unit)[0] for unit in np.eye(count)]
    mean: NDArray[np.float64] = np.mean(weights, axis=0)
    return mean


def conflict_free(gradients: Tensor) -> Tensor:
    """PCGrad's sum [weights] of the labels' gradients [labels, weights], which look at each other in random orders."""
    # From the global generator, which is a function of (seed, step) here.
    orders = [torch.randperm(len(gradients)).tolist() for _ in gradients]
    return without_conflicts((gradients @ gradients.T).cpu(), orders).to(gradients.device) @ gradients


def cagrad(gradients: Tensor, c: float) -> Tensor:
    """CAGrad's direction [weights] of gradients [labels, weights], times their number: without conflicts near the sum.

    See `conflict_averse`.
    """
    return _summed(conflict_averse(_products(gradients), c), gradients)


def upgrad(gradients: Tensor) -> Tensor:
    """UPGrad's direction [weights] of gradients [labels, weights], times their number: without conflicts their sum.

    See `unconflicting_projections`.
    """
    return _summed(unconflicting_projections(_products(gradients)), gradients)


def _products(gradients: Tensor) -> NDArray[np.float64]:
    products: NDArray[np.float64] = (gradients @ gradients.T).double().cpu().numpy()
    return products


def _summed(weights: NDArray[np.float64], gradients: Tensor) -> Tensor:
    return len(weights) * torch.from_numpy(weights).to(gradients.device, gradients.dtype) @ gradients
