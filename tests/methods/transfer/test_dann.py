"""DANN: the gradient that is turned round, its factor, and a whole step of it."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from manyways.methods.transfer.dann import DANN, adaptation_factor, reversed_gradient

from ..bases.test_domains import prints
from ..steps import Step


@pytest.mark.quick
def test_the_gradient_is_turned_round_and_nothing_else() -> None:
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reversed_gradient(x, 0.5)
    assert torch.equal(y, x)
    (y * torch.tensor([3.0, 4.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.5, -2.0]


@pytest.mark.quick
def test_the_factor_rises_as_in_the_paper() -> None:
    factors = [adaptation_factor(share, 10.0) for share in (0.0, 0.1, 0.5, 1.0)]
    assert factors == pytest.approx([0, 0.46211716, 0.98661430, 0.99990920])


def test_a_whole_step() -> None:
    """The network descends the labels' loss and ascends the classifier's, which descends its own."""
    method = DANN(batch_size=8, backbone="vit", size=0.25, weight=0.4, gamma=6.0, precision="float32", clip=None)
    step = Step(method, prints(0.3, 120))
    learner, batch = step.by_hand, step.batch
    features = learner.network.features(batch["inputs"])
    of_labels = cross_entropy(learner.network.head(features[:8]), batch["labels"])
    of_domains = cross_entropy(learner.discriminator(features[8:]), batch["domains"])
    factor = 0.4 * (2 / (1 + torch.tensor(-6.0 * 0.3).exp()) - 1)
    adversary = [*learner.discriminator.parameters()]
    network = [*learner.network.parameters()]
    downhill = torch.autograd.grad(of_labels, network, retain_graph=True)
    against = torch.autograd.grad(of_domains, network, retain_graph=True, allow_unused=True, materialize_grads=True)
    own = torch.autograd.grad(of_domains, adversary)
    rate = method.learning_rate * method.schedule(3, 10)
    with torch.no_grad():
        for parameter, slope, other in zip(network, downhill, against, strict=True):
            parameter.sub_(rate * (slope - factor * other))
        for parameter, slope in zip(adversary, own, strict=True):
            parameter.sub_(rate * slope)
    step.agree(of_labels + of_domains)
