"""The inner loop: a few steps of gradient descent on a task, from weights that were learned for it."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import grad

from manyways.models.population import Weights


def descend(
    weights: Weights, loss: Callable[[Weights], Tensor], *, rate: float, steps: int, first_order: bool
) -> Weights:
    """θ ← θ − rate · ∇loss(θ), `steps` times, by operations that can be differentiated and vmapped over.

    first_order: the gradients count as constants, so that there are no second derivatives in what goes through this.
    """
    for _ in range(steps):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not first_order):
            gradients = grad(loss)(weights)
        weights = {name: weight - rate * gradients[name] for name, weight in weights.items()}
    return weights
