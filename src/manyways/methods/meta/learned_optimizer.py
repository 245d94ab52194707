"""Learning to optimise: a small network makes the steps of other networks."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.targets import Target
from manyways.methods.bases.episodes import Ways
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.inner_loop import check_differentiable_twice
from manyways.methods.bases.rows import PredictingMethod
from manyways.methods.fields import Count, Interval, Positive
from manyways.methods.method import Ablations
from manyways.methods.needs import Classes, Input
from manyways.models.few_shot.episodes import Episodes
from manyways.models.heads import LinearHead
from manyways.models.learned_optimizer import LearnedOptimizerModel
from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.model import Model
from manyways.models.optimizing.adam import best_rate
from manyways.models.optimizing.rule import UpdateRule
from manyways.models.optimizing.tasks import OptimizerNetwork, Shape, draw_tasks, losses_of
from manyways.models.population import Weights
from manyways.randomness import generator, mix
from manyways.training.learner import LabelledLearner
from manyways.training.steps import ParameterGroup

MOST_WAYS, MOST_ROWS = 10, 100
TUNING, TUNING_TASKS = 0xADA3, 8
"""The stream of the tasks on which the first rate is chosen, and their number."""


class OptimizerLearner(LabelledLearner):
    """A learner of a rule; its network is what the rule optimises, of which every task has fresh weights."""

    rule: UpdateRule
    episodes: Episodes
    shape: Shape


@dataclass(frozen=True, kw_only=True)
class LearnedOptimizer(PredictingMethod[OptimizerLearner]):
    """Learn an optimizer: a perceptron that makes of each parameter's gradient and moments its step.

    Rows define the family: a task is to train the network of `backbone` and `size` from fresh weights to tell `ways` of
    the classes apart (of one task, where a column has that role) by minibatches of their rows. The rule descends the
    mean loss on the way, through the steps, of which each is on rows that the next has not learned from (truncated
    backpropagation, second order). It begins as Adam, at the best of some rates on tasks of the family.
    `model.optimizer(parameters)` is one for any loop of torch.
    """

    batch_size: Count = 4
    """Tasks in a batch."""
    learning_rate: Positive = 3e-3
    """The highest learning rate of AdamW for the rule."""
    ways: Ways | None = None
    """Classes in a task. None: as many as there are, up to 10."""
    rows: Count | None = None
    """Rows of each class in a task. None: as many as every class has, up to 100."""
    task_steps: Count = 50
    """Steps on a task."""
    minibatch: Count = 32
    """Rows in a minibatch of a task."""
    truncation: Count = 25
    """Steps after which the gradient is cut; as many as `task_steps` or more: it is never."""
    hidden: Annotated[int, Interval("[1, 4096]")] = 16
    """Units in each of the rule's two layers."""
    size: Annotated[float, Interval("(0, 64]")] = 0.25
    """Multiplies the width of the network that is optimised."""

    new_classes: ClassVar[bool] = True
    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"optimize"})
    takes: ClassVar = frozenset()
    suggests: ClassVar = ()
    field_trials: ClassVar = {"truncation": {"truncation": 2}, "minibatch": {"minibatch": 3}}
    paper: ClassVar = (
        "Metz et al., Tasks, stability, architecture, and compute: training more effective learned optimizers, "
        "arXiv:2009.11243, 2020; Andrychowicz et al., Learning to learn by gradient descent by gradient descent, "
        "NeurIPS 2016"
    )

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=2, task_steps=4, truncation=3, minibatch=8, hidden=8)

    def ablations(self, data: Data) -> Ablations:
        return {**super().ablations(data), "steps to learn from": (replace(self, task_steps=1), data)}

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        episodes, shape = self.family(data)
        return episodes.lacking(shape.ways, shape.rows, 0)

    def family(self, data: Data) -> tuple[Episodes, Shape]:
        """The pool that tasks are drawn from, and their shape."""
        episodes = Episodes.of(data.training)
        ways = self.ways or max(2, min(MOST_WAYS, episodes.fewest_classes))
        rows = self.rows or max(1, min(MOST_ROWS, episodes.fewest_rows))
        return episodes, Shape(ways, rows, self.task_steps, min(self.minibatch, ways * rows))

    def begin(self, data: Data, model: Model | None, seed: int) -> OptimizerLearner:
        network, encoding, _ = self.start_backbones(data, model)
        check_differentiable_twice(self, network, "another backbone")
        episodes, shape = self.family(data)
        network.head = LinearHead(network.width, shape.ways)
        network.requires_grad_(False)
        learner = self.make_learner(network, data, encoding, Target.fit(data), seed)
        learner.rule, learner.episodes, learner.shape = UpdateRule(self.hidden), episodes, shape
        return learner

    @torch.no_grad()
    def prepare(self, learner: OptimizerLearner) -> None:
        """Let the rule begin at the best rate of Adam."""
        rng = generator(mix(learner.seed, TUNING))
        tasks = draw_tasks(
            learner.network, learner.rows, learner.episodes, TUNING_TASKS, learner.shape, rng, learner.device
        )
        rate = best_rate(OptimizerNetwork(learner.rule, learner.network), tasks)
        learner.rule.log_rate.fill_(math.log(rate))

    def parameter_groups(self, learner: OptimizerLearner) -> list[ParameterGroup]:
        return [ParameterGroup(list(learner.rule.parameters()), self.learning_rate)]

    def draw(self, learner: OptimizerLearner, step: int, rng: torch.Generator) -> Batch:
        return draw_tasks(
            learner.network, learner.rows, learner.episodes, self.batch_size, learner.shape, rng, learner.device
        )

    def loss(self, learner: OptimizerLearner, batch: Batch) -> Loss:
        network = OptimizerNetwork(learner.rule, learner.network)

        def on_the_way(call: Call, weights: Weights, task: Any) -> Loss:
            losses = losses_of(call, weights, lambda step: call(weights, step), task, learner.network, self.truncation)
            return losses[1:].mean(), {"final_loss": losses[-1]}

        return MetaBatch(network, how="vectorised").mean(on_the_way, batch)

    def make_model(self, learner: OptimizerLearner) -> Model:
        network = OptimizerNetwork(learner.rule, learner.network)
        return LearnedOptimizerModel(network=network, inputs=learner.encoding, shape=learner.shape)

    def rows_reached(self, learner: OptimizerLearner, steps: int) -> NDArray[np.bool_]:
        return super().rows_reached(learner, steps) & learner.data.labelled

    def examples_per_step(self, learner: OptimizerLearner) -> int:
        return self.batch_size * (self.task_steps + 1) * learner.shape.minibatch
