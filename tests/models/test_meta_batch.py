"""MetaBatch: gradients through steps of many tasks, vectorised or one by one, are those of a plain loop."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from manyways.data.specs import Spec
from manyways.models.backbones import BACKBONES, make_backbone
from manyways.models.backbones._layers import BatchNorm
from manyways.models.few_shot.inner_loop import descend
from manyways.models.heads import LinearHead
from manyways.models.meta_batch import Call, MetaBatch
from manyways.models.network import Network
from manyways.models.population import Weights

Specs = dict[str, tuple[Spec, Any]]


def one_step(call: Call, weights: Weights, given: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss after a step of gradient descent on the same rows."""

    def loss(now: Weights) -> Tensor:
        return cross_entropy(call(now, given["inputs"]), given["labels"])

    found = loss(descend(weights, loss, rate=0.1, steps=1, first_order=False))
    return found, {"twice": 2 * found}


def tasks_of(name: str, specs: Specs) -> tuple[Network, dict[str, Any]]:
    """A network in float64, and four tasks of five rows."""
    if not BACKBONES.find(name).differentiable_twice:
        pytest.skip("it has no second derivative")
    spec, rows = specs[name]
    torch.manual_seed(0)
    network = Network({"x": make_backbone(name, spec, 0.5)})
    network.head = LinearHead(network.width, 3)
    given = rows(torch.Generator().manual_seed(1))
    return network.double(), {
        "inputs": {"x": given.double() if given.is_floating_point() else given},
        "labels": torch.randint(3, (4, 5), generator=torch.Generator().manual_seed(2)),
    }


def test_the_gradient_is_that_of_a_plain_loop(shipped: str, shipped_specs: Specs) -> None:
    """Task after task by autograd alone, without torch.func."""
    network, inputs = tasks_of(shipped, shipped_specs)
    loss, _ = MetaBatch(network, how="vectorised").mean(one_step, inputs)
    found = torch.autograd.grad(loss, list(network.parameters()))
    plain = copy.deepcopy(network).eval()
    for part in plain.modules():
        if isinstance(part, BatchNorm):
            part.alone = True
    weights = dict(plain.named_parameters())
    losses = []
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        for rows, labels in zip(inputs["inputs"]["x"], inputs["labels"], strict=True):
            first = cross_entropy(plain({"x": rows}), labels)
            gradients = torch.autograd.grad(first, list(weights.values()), create_graph=True)
            moved = {name: w - 0.1 * g for (name, w), g in zip(weights.items(), gradients, strict=True)}
            losses.append(cross_entropy(functional_call(plain, moved, ({"x": rows},)), labels))
    expected = torch.autograd.grad(torch.stack(losses).mean(), list(weights.values()))
    torch.testing.assert_close(loss.detach(), torch.stack(losses).mean().detach())
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("how", ["vectorised", "one by one"])
def test_the_gradient_through_a_step_is_that_of_finite_differences(
    how: Any, shipped: str, shipped_specs: Specs
) -> None:
    """Along a direction in which all weights move."""
    if shipped == "unet":
        pytest.skip("of its many maxima and rectified places some turn over at any step")
    network, inputs = tasks_of(shipped, shipped_specs)
    tasks, weights = MetaBatch(network, how=how), list(network.parameters())
    rng = torch.Generator().manual_seed(5)
    directions = [torch.randn(w.shape, generator=rng, dtype=w.dtype) * w.detach().abs().mean() for w in weights]
    gradients = torch.autograd.grad(tasks.mean(one_step, inputs)[0], weights)
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    ends = []
    for step in (1e-6, -2e-6):  # so small that hardly a ReLU turns over
        with torch.no_grad():
            torch._foreach_add_(weights, directions, alpha=step)
        ends.append(float(tasks.mean(one_step, inputs)[0].detach()))
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-3, abs=1e-7)


def test_the_gradient_is_the_same_both_ways_and_in_chunks(shipped: str, shipped_specs: Specs) -> None:
    """Of tasks that start from the same weights; normalisation is by what a task is given, and keeps nothing."""
    network, inputs = tasks_of(shipped, shipped_specs)
    before = {key: buffer.clone() for key, buffer in network.named_buffers()}
    found = []
    for how, chunk in (("vectorised", 3), ("vectorised", 4), ("one by one", 1)):
        tasks = MetaBatch(network, how=how, chunk=chunk)  # type: ignore[arg-type]
        loss, parts = tasks.mean(one_step, inputs)
        torch.testing.assert_close(parts["twice"].double(), 2 * loss.detach(), rtol=1e-5, atol=0)
        torch.testing.assert_close(tasks.run(one_step, inputs)[0].mean(), loss.detach())
        found.append([loss.detach(), *torch.autograd.grad(loss, list(network.parameters()))])
    for one, *others in zip(*found, strict=True):
        for other in others:
            torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-9)
    assert all(torch.equal(before[key], buffer) for key, buffer in network.named_buffers())


@pytest.mark.parametrize("first_order", [False, True])
def test_the_gradient_by_hand(first_order: bool) -> None:
    """Of L(w − α L′(w)) with L(w) = (w x − y)²: through the step comes the factor 1 − 2 α x²."""
    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(0.5)

    def task(call: Call, weights: Weights, given: Any) -> tuple[Tensor, dict[str, Tensor]]:
        def loss(now: Weights) -> Tensor:
            return (call(now, given["x"]) - given["y"]).square().sum()

        return loss(descend(weights, loss, rate=0.1, steps=1, first_order=first_order)), {}

    pairs = [(1.0, 2.0), (2.0, 1.0)]
    wanted = 0.0
    for x, y in pairs:
        after = 0.5 - 0.1 * 2 * x * (0.5 * x - y)
        wanted += 2 * x * (after * x - y) * (1 if first_order else 1 - 2 * 0.1 * x**2) / len(pairs)
    x, y = torch.tensor(pairs)[:, :, None, None].unbind(1)
    loss, _ = MetaBatch(network).mean(task, {"x": x, "y": y})
    (gradient,) = torch.autograd.grad(loss, [network.weight])
    assert float(gradient) == pytest.approx(wanted)
