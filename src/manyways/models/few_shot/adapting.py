"""Adaptation of a few-shot model to new classes: by their prototypes, or by steps of gradient descent."""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from manyways.data.encoding import Encoded
from manyways.data.storage import chunks_of
from manyways.errors import ModelError
from manyways.models.backbones._layers import BatchNorm
from manyways.models.few_shot.episodes import Draw, batch_of
from manyways.models.few_shot.inner_loop import descend, descend_by_adam
from manyways.models.heads import HEADS, Head
from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.network import Inputs, Network
from manyways.models.population import Weights
from manyways.registry import Classes

ROWS_AT_ONCE = 512


class Adaptation(ABC):
    """One way to turn to new classes: a dataclass of numbers and words, found again in a saved model by its `by`."""

    by: ClassVar[str]

    @abstractmethod
    def adapted(self, network: Network, rows: Encoded, labels: Tensor, classes: int) -> Network:
        """A network whose outputs are the `classes`, made of a few rows and their class codes int64 [rows]."""

    @abstractmethod
    def accuracies(self, network: Network, rows: Encoded, support: Draw, queries: Draw) -> NDArray[np.float64]:
        """For each episode the share of its queries that are told right, each alone, by one who saw its support."""

    def transductive(self, network: Network) -> bool:
        """True if what `together` says of a query may depend on the others of its episode."""
        return False

    def together(self, network: Network, rows: Encoded, support: Draw, queries: Draw) -> NDArray[np.float64]:
        """As `accuracies`, where all queries of an episode are seen together (transductive)."""
        return self.accuracies(network, rows, support, queries)

    def to_json(self) -> dict[str, Any]:
        """JSON values that `ADAPTATIONS.rebuild` makes it again from."""
        return {"by": self.by, **vars(self)}


ADAPTATIONS: Classes[Adaptation] = Classes(
    "adaptations", Adaptation, "manyways.models.few_shot.adapting", "manyways.models.few_shot", attribute="by"
)
"""Adaptations by their names: those of this folder, and of the entry-point group `manyways.adaptations`."""


@dataclass(frozen=True)
class GradientSteps(Adaptation):
    """Steps of gradient descent on the cross-entropy of the examples (Finn et al. 2017).

    An adapted network answers each row alone: batch normalisation keeps the statistics of the examples. `together`
    normalises all queries of an episode together, as the authors' code does (transductive).
    """

    by = "gradient steps"
    rate: float
    steps: int

    def adapted(self, network: Network, rows: Encoded, labels: Tensor, classes: int) -> Network:
        _check_outputs(network, classes)

        def learn(call: Call, weights: Weights, given: Any) -> Weights:
            return self.descended(call, weights, given["inputs"], given["labels"], first_order=True)

        inputs = rows.batch(np.arange(len(rows)), device_of(network))
        one = {"inputs": {name: tensor[None] for name, tensor in inputs.items()}, "labels": labels[None]}
        found = MetaBatch(network, how="one by one").run(learn, one)
        learner = copy.deepcopy(network).eval()
        learner.load_state_dict({name: tensor[0] for name, tensor in found.items()}, strict=False)
        learner.head = first_outputs(learner.head, classes)
        settle(learner, inputs)
        return learner

    def descended(self, call: Call, weights: Weights, inputs: Inputs, labels: Tensor, *, first_order: bool) -> Weights:
        """The weights after the steps."""
        return descend(
            weights,
            lambda now: cross_entropy(call(now, inputs).float(), labels),
            rate=self.rate,
            steps=self.steps,
            first_order=first_order,
        )

    def transductive(self, network: Network) -> bool:
        return any(isinstance(part, BatchNorm) for part in network.modules())

    def accuracies(self, network: Network, rows: Encoded, support: Draw, queries: Draw) -> NDArray[np.float64]:
        ways = support.positions.shape[1]
        if not self.transductive(network):
            return self.together(network, rows, support, queries)
        _check_outputs(network, ways)

        def learn(call: Call, weights: Weights, given: Any) -> Weights:
            return self.descended(call, weights, given["inputs"], given["labels"], first_order=True)

        tasks, device = MetaBatch(network, how="one by one"), device_of(network)
        learner, shares = copy.deepcopy(network).eval(), []
        for episode in range(len(support.positions)):
            at = np.array([episode])
            shown, query = batch_of(rows, support[at], device), batch_of(rows, queries[at], device)
            moved = tasks.run(learn, shown)
            learner.load_state_dict({name: tensor[0] for name, tensor in moved.items()}, strict=False)
            settle(learner, {name: tensor[0] for name, tensor in shown["inputs"].items()})
            with torch.inference_mode():
                outputs = learner({name: tensor[0] for name, tensor in query["inputs"].items()})[:, :ways]
            shares.append(float(accuracy(outputs.float(), query["labels"][0])))
        return np.asarray(shares)

    def together(self, network: Network, rows: Encoded, support: Draw, queries: Draw) -> NDArray[np.float64]:
        ways = support.positions.shape[1]
        _check_outputs(network, ways)

        def share(call: Call, weights: Weights, given: Any) -> Tensor:
            labels = given["support"]["labels"]
            now = self.descended(call, weights, given["support"]["inputs"], labels, first_order=True)
            outputs = call(now, given["queries"]["inputs"])[:, :ways]
            return accuracy(outputs, given["queries"]["labels"])

        # With a pass and many queries to an episode, little is gained by running several at once.
        tasks, device = MetaBatch(network, how="one by one"), device_of(network)
        shares = []
        for at in chunks_of(len(support.positions), tasks.chunk):
            batch = {"support": batch_of(rows, support[at], device), "queries": batch_of(rows, queries[at], device)}
            shares.append(tasks.run(share, batch).cpu())
        return np.asarray(torch.cat(shares).numpy(), np.float64)


@dataclass(frozen=True)
class AdamSteps(GradientSteps):
    """As `GradientSteps`, by steps of Adam without momentum on all examples (Nichol, Achiam & Schulman 2018)."""

    by = "adam steps"
    beta2: float = 0.999

    def descended(self, call: Call, weights: Weights, inputs: Inputs, labels: Tensor, *, first_order: bool) -> Weights:
        """The weights after the steps, whose gradients count as constants."""
        losses = [lambda now: cross_entropy(call(now, inputs).float(), labels)] * self.steps
        return descend_by_adam(weights, losses, rate=self.rate, beta2=self.beta2)


def features_of(network: Network, rows: Encoded) -> Tensor:
    """The features of all `rows`, float32 [rows, width]."""
    device = device_of(network)
    with torch.inference_mode():
        found = [network.features(rows.batch(at, device)).float() for at in chunks_of(len(rows), ROWS_AT_ONCE)]
        return torch.cat(found)


@torch.no_grad()
def settle(network: Network, inputs: Inputs) -> None:
    """Let batch normalisation in evaluation use the statistics that these inputs have, layer after layer."""

    def measure(part: nn.Module, given: tuple[Tensor]) -> None:
        assert isinstance(part, BatchNorm)
        rest = [0, *range(2, given[0].ndim)]
        part.running_mean.copy_(given[0].mean(rest))
        part.running_var.copy_(given[0].var(rest, correction=0))

    hooks = [part.register_forward_pre_hook(measure) for part in network.modules() if isinstance(part, BatchNorm)]
    try:
        network.eval().features(inputs)
    finally:
        for hook in hooks:
            hook.remove()


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of rows whose largest logit is their label: logits [..., classes], labels int64 [...]."""
    return (logits.argmax(-1) == labels).float().mean()


def _check_outputs(network: Network, classes: int) -> None:
    assert network.head is not None
    assert network.head.last is not None
    if classes > (known := network.head.last.out_features):
        raise ModelError(
            f"The model tells {known} classes apart, and {classes} are asked for. Give {known} at most, or train a "
            f"model for more: ways={classes}."
        )


def first_outputs(head: nn.Module | None, outputs: int) -> Head:
    """A head with the first `outputs` of `head`, which ends in a linear layer."""
    assert isinstance(head, Head)
    assert head.last is not None
    with torch.random.fork_rng():  # a new layer draws weights, which are replaced at once
        made = HEADS.rebuild({**head.config, "name": head.name, "outputs": outputs})
    sizes = {name: len(tensor) for name, tensor in made.state_dict().items()}
    made.load_state_dict({name: tensor[: sizes[name]] for name, tensor in head.state_dict().items()})
    return made.to(head.last.weight.device)


def device_of(network: nn.Module) -> torch.device:
    """Device of the network."""
    return next(network.parameters(), torch.empty(0)).device
