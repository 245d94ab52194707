"""The inner loop: a few steps of gradient descent on a task, from weights that were learned for it."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.func import grad

from manyways.models.backbones._layers import is_transformed
from manyways.models.population import Weights

EPSILON = 1e-8
"""Added to the root of Adam's second moment."""


def descend(
    weights: Weights, loss: Callable[[Weights], Tensor], *, rate: float, steps: int, first_order: bool
) -> Weights:
    """θ ← θ − rate · ∇loss(θ), `steps` times, by operations that can be differentiated and vmapped over.

    first_order: the gradients count as constants, so that there are no second derivatives in what goes through this.
    """
    for _ in range(steps):
        twice = torch.is_grad_enabled() and not first_order
        if is_transformed():
            with torch.set_grad_enabled(twice):
                gradients = grad(loss)(weights)
        else:
            gradients = _gradients(loss, weights, twice)
        weights = {name: weight - rate * gradients[name] for name, weight in weights.items()}
    return weights


def descend_in_turn(weights: Weights, losses: Iterable[Callable[[Weights], Tensor]], *, rate: float) -> Weights:
    """The weights after a step of plain descent for each of the `losses`, by constant gradients."""
    for loss in losses:
        weights = descend(weights, loss, rate=rate, steps=1, first_order=True)
    return weights


def descend_by_adam(
    weights: Weights, losses: Iterable[Callable[[Weights], Tensor]], *, rate: float, beta2: float
) -> Weights:
    """The weights after a step of Adam without momentum (β₁ = 0) for each of the `losses`, by constant gradients.

    θ ← θ − rate · g / (√v̂ + ε), with v the moving mean of g² by `beta2`, and v̂ = v / (1 − β₂ᵗ).
    """
    seconds = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for step, loss in enumerate(losses, 1):
        if is_transformed():
            with torch.no_grad():
                gradients = grad(loss)(weights)
        else:
            gradients = _gradients(loss, weights, twice=False)
        correction = 1 - beta2**step
        for name, gradient in gradients.items():
            seconds[name] = beta2 * seconds[name] + (1 - beta2) * gradient.square()
            change = gradient / ((seconds[name] / correction).sqrt() + EPSILON)
            weights = weights | {name: weights[name] - rate * change}
    return weights


def _gradients(loss: Callable[[Weights], Tensor], weights: Weights, twice: bool) -> Weights:
    """∇loss by autograd, which is quicker than `torch.func` where nothing is vmapped; twice: can be differentiated."""
    learned = {
        name: weight if twice and weight.requires_grad else weight.detach().requires_grad_()
        for name, weight in weights.items()
    }
    with torch.enable_grad():
        found = torch.autograd.grad(
            loss(learned), list(learned.values()), create_graph=twice, allow_unused=True, materialize_grads=True
        )
    return dict(zip(learned, found, strict=True))
