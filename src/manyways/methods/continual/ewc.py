"""Elastic weight consolidation: weights that mattered to earlier tasks are held back."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import torch
from torch import Tensor

from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.tasks_in_order import ContinualLearner, ContinualMethod, among
from manyways.methods.fields import Count, Interval, NotNegative
from manyways.methods.method import Ablations
from manyways.methods.needs import Classes, Input, Task
from manyways.models.model import Model
from manyways.randomness import mix

FISHER_STREAM = 2
FISHER_ROWS = 16
"""Of a batch: many small ones tell more than few large ones in the same time."""


def elastic_penalty(weights: Tensor, importance: Tensor, anchor: Tensor) -> Tensor:
    """½ Σ F (θ − θ*)², all [parameters]."""
    return 0.5 * (importance * (weights - anchor).square()).sum()


def added(importance: Tensor, anchor: Tensor, fisher: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The importance and the anchor of a penalty that stands for one more.

    ½ Σ_t F_t (θ − θ*_t)² is, but for a constant, ½ (Σ_t F_t) (θ − θ̄)², where θ̄ is the mean of the anchors θ*_t weighted
    by F_t: the penalties of all tasks take no more room than that of one.
    """
    total = importance + fisher
    share = torch.where(total > 0, fisher / total.clamp_min(torch.finfo(total.dtype).tiny), torch.ones_like(total))
    return total, torch.lerp(anchor, weights, share)


class EWCLearner(ContinualLearner):
    """A continual learner with the penalty of the tasks before: importance and anchor of each weight [parameters]."""

    importance: Tensor
    anchor: Tensor


@dataclass(frozen=True, kw_only=True)
class EWC(ContinualMethod[EWCLearner]):
    """Learn tasks one after the other, and hold each weight back by how much the tasks before depend on it.

    How much is the diagonal of the Fisher information, computed when a task ends, under the model's own predictions.
    """

    penalty: NotNegative = 1e4
    """Weight of the penalty (λ); Fisher information is the mean over rows."""
    fisher_batches: Count = 64
    """Batches of 16 rows from which it is estimated when a task ends."""
    online: bool = False
    """One penalty around the weights of the last task, with importances that fade (Schwarz et al., ICML 2018); else one
    for each task around its own."""
    decay: Annotated[float, Interval("(0, 1]")] = 1.0
    """By how much importances fade with every task (γ), where `online`."""

    needs: ClassVar = (Input, Classes, Task)
    gives: ClassVar = frozenset({"classify", "embed"})
    paper: ClassVar = "Kirkpatrick et al., Overcoming catastrophic forgetting in neural networks, PNAS 2017"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay != 1 and not self.online:
            raise ParameterError(
                f"EWC.decay is of the online variant: set online=True, or leave it out; got {self.decay}."
            )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        """With a quick estimate: half a second is spent on three tasks."""
        return cls(fisher_batches=4)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "its penalty": (replace(self, penalty=0.0), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> EWCLearner:
        learner = super().begin(data, model, seed)
        count = len(_weights(learner))
        learner.register_buffer("importance", torch.zeros(count))
        learner.register_buffer("anchor", torch.zeros(count))
        return learner

    def loss(self, learner: EWCLearner, batch: Batch) -> Loss:
        loss, parts = super().loss(learner, batch)
        if int(learner.begun) < 1 or not self.penalty:
            return loss, parts
        held = elastic_penalty(_weights(learner), learner.importance, learner.anchor)
        return loss + self.penalty * held, {**parts, "labels": loss, "penalty": self.penalty * held}

    def end_of_task(self, learner: EWCLearner, task: int) -> None:
        if task == len(learner.tasks) - 1:
            return  # nothing is learned any more that could forget it
        fisher, weights = self.fisher(learner, task), _weights(learner).detach()
        importance, anchor = learner.importance, learner.anchor
        if self.online:
            importance.mul_(self.decay).add_(fisher)
            anchor.copy_(weights)
        else:
            total, mean = added(importance, anchor, fisher, weights)
            importance.copy_(total)
            anchor.copy_(mean)

    def fisher(self, learner: EWCLearner, task: int) -> Tensor:
        """The diagonal of the Fisher information of `task`, the mean over its rows, [parameters].

        Labels are drawn from the model's own predictions. Then the gradients of different rows are independent with
        mean 0, so that the square of a batch's sum is in expectation the sum of the squares of its rows.
        """
        network, rows = learner.network, learner.tasks.rows[task]
        size = min(FISHER_ROWS, len(rows))
        importance = torch.zeros_like(learner.importance)
        network.eval()
        with torch.random.fork_rng(devices=[learner.device] if learner.device.type == "cuda" else []):
            for number in range(self.fisher_batches):
                torch.manual_seed(mix(learner.seed, task, number, FISHER_STREAM))
                positions = learner.pick(rows, size, number, stream=FISHER_STREAM)
                allowed = self.allowed(learner, positions, task).to(learner.device)
                outputs = among(network(learner.take(positions)), allowed)
                drawn = outputs.detach().softmax(1).multinomial(1)[:, 0]
                total = size * learner.target.loss(outputs, drawn)
                parts = torch.autograd.grad(total, [p for p in network.parameters() if p.requires_grad])
                importance += torch.cat([part.flatten() for part in parts]).square() / size
        network.train()
        return importance / self.fisher_batches

    def besides(self, learner: EWCLearner) -> tuple[int, Callable[[], object]]:
        return len(learner.tasks) - 1, lambda: self.fisher(learner, 0)


def _weights(learner: EWCLearner) -> Tensor:
    """All trained weights of the network side by side."""
    return torch.cat([p.flatten() for p in learner.network.parameters() if p.requires_grad])
