"""Small tasks to optimise: networks with fresh weights, and minibatches of the rows of a few classes."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.func import grad_and_value
from torch.nn.functional import cross_entropy

from manyways.data.encoding import Encoded
from manyways.models.backbones._layers import is_transformed
from manyways.models.few_shot.episodes import Episodes, minibatches_of
from manyways.models.meta_batch import Call
from manyways.models.network import Network, rebuild_network
from manyways.models.optimizing.rule import Moments, Step, UpdateRule
from manyways.models.population import Weights

OPTIMIZEE = "optimizee."


class OptimizerNetwork(nn.Module):
    """A learned rule, and the network that it was learned on: `forward` is the one or the other by what it is given."""

    def __init__(self, rule: UpdateRule, optimizee: Network) -> None:
        super().__init__()
        self.rule = rule
        self.optimizee = optimizee

    def forward(self, given: Any) -> Any:
        return self.rule(given) if isinstance(given, Step) else self.optimizee(given)


class Rule(Protocol):
    """A way to make a step."""

    def __call__(self, step: Step) -> Tensor:
        """The change of the weights."""


class Shape(NamedTuple):
    """The tasks of a family: classes, rows of each class, steps, and rows in a minibatch."""

    ways: int
    rows: int
    steps: int
    minibatch: int


def draw_tasks(
    network: Network, rows: Encoded, episodes: Episodes, count: int, shape: Shape, rng: torch.Generator,
    device: torch.device,
) -> dict[str, Any]:  # fmt: skip
    """Draw `count` tasks from `rng`: a `start` of the weights [tasks, parameters], and a minibatch more than steps."""
    drawn = episodes.draw(count, shape.ways, shape.rows, rng)
    batch = minibatches_of(rows, drawn, shape.steps + 1, shape.minibatch, rng, device)
    seeds = torch.randint(2**31, (count,), generator=rng).tolist()
    return {**batch, "start": torch.stack([fresh_weights(network, seed) for seed in seeds]).to(device)}


def fresh_weights(network: Network, seed: int) -> Tensor:
    """New weights of the architecture of `network`, one after the other in a vector."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        new = rebuild_network(network.config())
    return torch.cat([parameter.detach().flatten() for parameter in new.parameters()])


def losses_of(
    call: Call, constants: Weights, rule: Rule, task: Any, optimizee: Network, truncation: int | None = None
) -> Tensor:
    """The losses [steps + 1] on the way of `rule` through a task, each on a minibatch that it has not learned from yet.

    Args:
        call: The network of the rule and of what it optimises, of weights and inputs.
        constants: All weights of that network, of which those of the optimizee are replaced.
        rule: The rule.
        task: A task of `draw_tasks`.
        optimizee: The network that is optimised, for the shapes of its parameters.
        truncation: Steps between which no gradient flows; None: the whole way.
    """
    shapes = {name: parameter.shape for name, parameter in optimizee.named_parameters()}

    def loss(weights: Tensor, step: int) -> Tensor:
        parts = torch.split(weights, [shape.numel() for shape in shapes.values()])
        named = {f"{OPTIMIZEE}{name}": part.view(shapes[name]) for name, part in zip(shapes, parts, strict=True)}
        inputs = {name: tensor[step] for name, tensor in task["inputs"].items()}
        return cross_entropy(call(constants | named, inputs), task["labels"][step])

    weights, losses = task["start"], []
    moments = Moments.zeros(weights)
    steps = task["labels"].shape[0] - 1
    for step in range(steps):
        if truncation is not None and step % truncation == 0:
            weights, moments = weights.detach(), Moments(moments.first.detach(), moments.second.detach())
        gradient, value = gradient_and_loss(lambda now, step=step: loss(now, step), weights)  # type: ignore[misc]
        moments = moments.after(gradient)
        weights = weights + rule(Step(gradient, weights, moments, step + 1))
        losses.append(value)
    return torch.stack([*losses, loss(weights, steps)])


def gradient_and_loss(loss: Callable[[Tensor], Tensor], weights: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of `loss` and its value; they can be differentiated where gradients are enabled."""
    if is_transformed():
        gradient, value = grad_and_value(loss)(weights)
        return gradient, value
    twice = torch.is_grad_enabled()
    learned = weights if twice and weights.requires_grad else weights.detach().requires_grad_()
    with torch.enable_grad():
        value = loss(learned)
        (gradient,) = torch.autograd.grad(value, learned, create_graph=twice)
    return gradient, value if twice else value.detach()
