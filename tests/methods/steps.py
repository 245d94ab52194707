"""One step of a gradient method, taken by the loop and again by hand."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.methods.bases.gradient import GradientMethod
from manyways.models.model import Model
from manyways.randomness import generator, mix, seed_global
from manyways.training.average import AverageNetwork
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer

SEED = 5


class Step:
    """A step that the loop took on `learner`, and one like it before the step, `by_hand`, with the same `batch`.

    A test repeats the step on `by_hand` in plain torch: forward passes, `descend`, and what moves without a gradient.
    `agree` compares the losses, and all that the two hold. `change` makes both what they are after some steps. Plain
    gradient descent stands in for the method's optimiser, since AdamW would magnify the rounding of gradients near 0.
    """

    def __init__(
        self, method: GradientMethod[Any], data: Data, model: Model | None = None, *, step: int = 3, steps: int = 10,
        change: Callable[[Any], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self.method, self.step, self.steps = method, step, steps
        self.learner, self.by_hand = (begun(method, data, model, steps) for _ in range(2))
        for learner in (self.learner, self.by_hand):
            change(learner)
        self.parts = take_step(method, self.learner, self._optimizer(self.learner), step, steps, SEED)
        seed_global(mix(SEED, step, 1), self.by_hand.device)
        self.batch = method.draw(self.by_hand, step, generator(SEED, step))

    def _optimizer(self, learner: Any) -> torch.optim.Optimizer:
        groups = [group | {"weight_decay": 0.0} for group in make_optimizer(self.method, learner).param_groups]
        return torch.optim.SGD(groups, lr=1.0)

    def descend(self, loss: Tensor) -> None:
        """Move the parameters of `by_hand` that the method trains down the gradient of `loss`."""
        optimizer = self._optimizer(self.by_hand)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        norm = torch.sqrt(sum((g.square().sum() for g in gradients), torch.zeros(())))
        shrunk = 1.0 if self.method.clip is None else min(1.0, self.method.clip / float(norm))
        rate = self.method.schedule(self.step, self.steps)
        of = {id(p): group["highest"] for group in optimizer.param_groups for p in group["params"]}
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(rate * of[id(parameter)] * shrunk * gradient)

    def agree(self, loss: Tensor) -> None:
        """The loop's loss is `loss`, and its learner holds what `by_hand` holds; raises AssertionError."""
        torch.testing.assert_close(self.parts["loss"], loss.detach(), rtol=1e-4, atol=1e-6)
        theirs = self.by_hand.state_dict()
        assert self.learner.state_dict().keys() == theirs.keys()
        for name, tensor in self.learner.state_dict().items():
            why = partial("{}: {}".format, name)
            torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-6, equal_nan=True, msg=why)


def begun(method: GradientMethod[Any], data: Data, model: Model | None, steps: int) -> Any:
    """A learner before the first of `steps`, as `fit` makes it."""
    torch.manual_seed(mix(SEED, 0))
    learner = method.begin(data, model, SEED)
    learner.steps = steps
    learner.train()
    method.prepare(learner)
    return learner


@torch.no_grad()
def move_average(average: AverageNetwork[Any], network: torch.nn.Module, decay: float) -> None:
    """average ← decay · average + (1 − decay) · network; statistics are copied."""
    for mine, other in zip(average.network.parameters(), network.parameters(), strict=True):
        mine.copy_(decay * mine + (1 - decay) * other)
    for mine, other in zip(average.network.buffers(), network.buffers(), strict=True):
        mine.copy_(other)
