"""Adam as a rule, and the best of its rates on some tasks: what a learned rule begins as, and is compared with."""

from typing import Any

import torch
from torch import Tensor

from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.optimizing.rule import DECAYS, EPSILON, NOMINAL, SECOND_DECAY, Step
from manyways.models.optimizing.tasks import OptimizerNetwork, losses_of
from manyways.models.population import Weights

RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
"""The rates that Adam is tuned over."""


def adam_step(step: Step, rate: float) -> Tensor:
    """The change of the weights by Adam with β₁ = 0.9 and β₂ = 0.99 (Kingma & Ba 2015)."""
    first = step.moments.first[NOMINAL] / (1 - DECAYS[NOMINAL] ** step.number)
    second = step.moments.second / (1 - SECOND_DECAY**step.number)
    return -rate * first / (second.sqrt() + EPSILON)


def losses_by_rate(network: OptimizerNetwork, tasks: Any) -> dict[float, Tensor]:
    """The losses [tasks, steps + 1] of Adam on the way through `tasks`, by each of the `RATES`."""

    def losses(rate: float) -> Tensor:
        def way(call: Call, weights: Weights, task: Any) -> Tensor:
            return losses_of(call, weights, lambda step: adam_step(step, rate), task, network.optimizee)

        found: Tensor = MetaBatch(network, how="vectorised").run(way, tasks)
        return found

    return {rate: losses(rate) for rate in RATES}


def best_rate(network: OptimizerNetwork, tasks: Any) -> float:
    """The rate at which the mean loss of Adam on `tasks` is lowest."""
    means = {rate: float(losses[:, 1:].mean()) for rate, losses in losses_by_rate(network, tasks).items()}
    finite = {rate: mean for rate, mean in means.items() if torch.tensor(mean).isfinite()}
    return min(finite or means, key=lambda rate: means[rate])
