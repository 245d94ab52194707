"""A learned rule as an optimizer of torch."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from manyways.errors import ParameterError
from manyways.models.optimizing.rule import Moments, Step, UpdateRule


class RuleOptimizer(torch.optim.Optimizer):
    """An optimizer whose steps a learned rule makes, from gradients that are in the parameters.

    Args:
        parameters: Parameters, or groups of them.
        rule: The rule; it is not trained.
        lr: Multiple of its steps, 1 as it was learned.
        weight_decay: Decoupled weight decay, relative to `lr`.

    Raises:
        ParameterError: `lr` or `weight_decay` is below 0.
    """

    def __init__(
        self, parameters: Iterable[Any], rule: UpdateRule, *, lr: float = 1.0, weight_decay: float = 0.0
    ) -> None:
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ParameterError(f"{name} must be 0 or above; got {value!r}.")
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})
        self._rule = rule

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; `closure`, if there is one, computes the loss and the gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group["lr"], group["weight_decay"])
        return loss

    def _move(self, parameter: Tensor, rate: float, decay: float) -> None:
        state = self.state[parameter]
        if not state:
            moments = Moments.zeros(parameter)
            state.update(step=torch.tensor(0.0), first=moments.first, second=moments.second)
        assert parameter.grad is not None
        state["step"] += 1
        moments = Moments(state["first"], state["second"]).after(parameter.grad)
        state["first"], state["second"] = moments
        change = self._rule(Step(parameter.grad, parameter, moments, int(state["step"])))
        parameter.mul_(1 - rate * decay).add_(change, alpha=rate)
