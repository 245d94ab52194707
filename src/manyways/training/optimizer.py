"""Parameter groups of an optimiser, with rates that may differ by depth; a warm-up and a cosine to zero."""

from math import cos, pi

import torch

from manyways.training.steps import LearnerT, Steps


def make_optimizer(method: Steps[LearnerT], learner: LearnerT) -> torch.optim.Optimizer:
    """The method's optimiser over its parameter groups; biases and norms are not decayed."""
    groups = []
    for group in method.parameter_groups(learner):
        trained = [p for p in group.parameters if p.requires_grad]
        matrices, vectors = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
        for parameters, decay in ((matrices, method.weight_decay), (vectors, 0.0)):
            if parameters:
                groups.append(
                    {
                        "params": parameters,
                        "weight_decay": decay,
                        "lr": group.rate,
                        "highest": group.rate,
                        "starts": group.starts,
                    }
                )
    return method.make_optimizer(groups)


def set_rates(optimizer: torch.optim.Optimizer, method: Steps[LearnerT], step: int, steps: int) -> None:
    """Set each group's learning rate for `step`."""
    multiple = method.schedule(step, steps)
    for group in optimizer.param_groups:
        group["lr"] = multiple * group["highest"] if step >= group["starts"] * steps else 0.0


def schedule(step: int, steps: int, warmup: float) -> float:
    """Linear from near 0 over the first `warmup` share of the steps, then half a cosine down (SGDR, 2017)."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + cos(pi * (step - rise) / max(1, steps - rise)))
