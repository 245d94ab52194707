"""LearnedOptimizer: a rule that makes steps of gradients, and the family of tasks that it was learned on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from manyways.checked_json import described
from manyways.data.encoding import InputEncoding
from manyways.errors import ModelError
from manyways.models.few_shot.adapting import device_of
from manyways.models.few_shot.episodes import Episodes
from manyways.models.lineage import Lineage
from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.model import Model
from manyways.models.network import rebuild_network
from manyways.models.optimizing.adam import losses_by_rate
from manyways.models.optimizing.optimizer import RuleOptimizer
from manyways.models.optimizing.rule import UpdateRule
from manyways.models.optimizing.tasks import OptimizerNetwork, Shape, draw_tasks, losses_of
from manyways.models.population import Weights
from manyways.models.reading import labelled
from manyways.models.rebuilding import check_fit, filled
from manyways.models.weights import write_weights
from manyways.randomness import generator

if TYPE_CHECKING:
    from manyways.data.read import Source

TASKS = 16
"""Tasks that it is scored on."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LearnedOptimizerModel(Model):
    """A rule that was learned by making steps on small tasks; it gives optimize.

        optimizer = model.optimizer(network.parameters())
        loss.backward(); optimizer.step(); optimizer.zero_grad()

    shape: the tasks of the family, for which it is scored.
    """

    kind: ClassVar[str] = "learned-optimizer"
    network: OptimizerNetwork = field(repr=False)
    inputs: InputEncoding = field(repr=False)
    shape: Shape

    def optimizer(self, parameters: Iterable[Any], *, lr: float = 1.0, weight_decay: float = 0.0) -> RuleOptimizer:
        """An optimizer of `parameters`, or of groups of them, for any loop of torch; the rule is not trained by it.

        Args:
            parameters: Parameters, or groups of them.
            lr: Multiple of the learned steps.
            weight_decay: Decoupled weight decay, relative to `lr`.
        """
        return RuleOptimizer(parameters, self.network.rule, lr=lr, weight_decay=weight_decay)

    @property
    def metric(self) -> str | None:
        return "mean_loss"

    def evaluate(
        self, source: "Source", *, tasks: int = TASKS, steps: int | None = None, seed: int = 0
    ) -> dict[str, float]:
        """Losses on `tasks` that are drawn from the rows of `source`, of the rule and of Adam.

        `mean_loss` is the mean over all steps, each on rows that the next step learns from; `final_loss` that over the
        last tenth. `adam_mean_loss` and `adam_final_loss` are the lowest that Adam reaches by any of some rates, chosen
        for each score on these very tasks, from the same weights by the same minibatches.

        Args:
            source: Rows with classes, which may be new to the rule.
            tasks: Number of tasks.
            steps: Steps in a task, as it was learned by default.
            seed: The same one draws the same tasks.

        Raises:
            DataError: The classes or their rows are too few.
        """
        batch = self._tasks(source, tasks, steps, seed)

        def way(call: Call, weights: Weights, task: Any) -> Tensor:
            return losses_of(call, weights, lambda step: call(weights, step), task, self.network.optimizee)

        own: Tensor = MetaBatch(self.network, how="vectorised").run(way, batch)
        adam = losses_by_rate(self.network, batch).values()
        count = own.shape[1] - 1
        scores = {}
        for name, last in (("mean_loss", count), ("final_loss", max(1, count // 10))):
            scores[name] = float(own[:, -last:].mean())
            scores[f"adam_{name}"] = min(float(losses[:, -last:].mean()) for losses in adam)
        return scores

    def _tasks(self, source: "Source", count: int, steps: int | None, seed: int) -> Any:
        """So many tasks of the rows of `source`, of the family's shape but for the number of steps."""
        data = labelled(source, self.inputs)
        episodes = Episodes.of(data, hidden=True)
        shape = self.shape._replace(
            rows=min(self.shape.rows, max(1, episodes.fewest_rows)), steps=steps or self.shape.steps
        )
        episodes.check(shape.ways, shape.rows, 0)
        rng, device = generator(seed, count), device_of(self.network)
        return draw_tasks(self.network.optimizee, self.inputs.encode(data), episodes, count, shape, rng, device)

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {
            "rule": self.network.rule.config,
            "optimizee": self.network.optimizee.config(),
            "inputs": self.inputs.to_json(),
            "tasks": self.shape._asdict(),
        }

    @classmethod
    def read(
        cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage
    ) -> "LearnedOptimizerModel":
        rule = described(saved["rule"], "`rule` of the model", ModelError)
        tasks = described(saved["tasks"], "`tasks` of the model", ModelError)
        hidden = rule.get("hidden", int)
        network = filled(lambda: OptimizerNetwork(UpdateRule(hidden), rebuild_network(saved["optimizee"])), folder)
        inputs = InputEncoding.from_json(saved["inputs"])
        check_fit(network.optimizee, inputs)
        shape = Shape(*(tasks.get(name, int) for name in Shape._fields))
        return cls(network=network, inputs=inputs, shape=shape, gives=gives, lineage=lineage)
