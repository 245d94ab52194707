"""Population: a stack of networks is that many networks, vectorised or one by one."""

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec
from manyways.errors import ParameterError
from manyways.models.backbones import backbones, make_backbone
from manyways.models.heads import LinearHead
from manyways.models.network import Network
from manyways.models.population import ONE_BY_ONE, UNDECIDED, VECTORISED, Population

SPECS: dict[str, tuple[Spec, Any]] = {
    "convnet": (ImageSpec(1, 12, 12), lambda g: torch.randint(256, (4, 5, 1, 12, 12), generator=g, dtype=torch.uint8)),
    "resnet": (ImageSpec(3, 16, 16), lambda g: torch.randint(256, (4, 5, 3, 16, 16), generator=g, dtype=torch.uint8)),
    "vit": (ImageSpec(3, 16, 16), lambda g: torch.randint(256, (4, 5, 3, 16, 16), generator=g, dtype=torch.uint8)),
    "perceptron": (TableSpec(6, ((0, 6),), (0,)), lambda g: torch.randn(4, 5, 6, generator=g)),
    "text-transformer": (TextSpec(50, 7), lambda g: torch.randint(4, 50, (4, 5, 7), generator=g)),
    "audio-net": (AudioSpec(8000, 2000), lambda g: torch.randint(-9000, 9000, (4, 5, 2000), generator=g).short()),
}


def test_every_network_we_ship_is_compared() -> None:
    made = {name for name in backbones() if name not in ("pretrained", "flat", "spectrum", "latent-semantics")}
    assert made == set(SPECS)


@pytest.mark.parametrize("name", SPECS)
def test_both_ways_give_the_same_outputs_and_gradients(name: str) -> None:
    """And those of each network alone; members differ, and so do their rows."""
    spec, rows = SPECS[name]
    torch.manual_seed(0)
    network = Network({"x": make_backbone(name, spec, 0.5)})
    network.head = LinearHead(network.width, 3)
    inputs = {"x": rows(torch.Generator().manual_seed(1))}
    labels = torch.randint(3, (4, 5), generator=torch.Generator().manual_seed(2))
    found = []
    for how in ("vectorised", "one by one"):
        population = Population(network, 4, how=how, chunk=3).train()
        shift = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight in population.weights().values():
                weight.add_(torch.randn(weight.shape, generator=shift) * 0.02)
        outputs = population(inputs)
        loss = cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="sum")
        gradients = torch.autograd.grad(loss, list(population.weights().values()))
        found.append((outputs, gradients, population))
    (first, ours, population), (second, theirs, other) = found
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-2, atol=1e-3 * max(1.0, float(two.abs().max())))
    for one, two in zip(
        population.stacked_buffers().values(), other.stacked_buffers().values(), strict=True
    ):  # running statistics
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)
    alone = other.eval().member(2).eval()
    with torch.no_grad():
        expected = alone({"x": inputs["x"][2]})
        torch.testing.assert_close(population.eval()(inputs)[2], expected, rtol=1e-3, atol=1e-4)


def small(members: int = 3, **options: Any) -> Population:
    torch.manual_seed(0)
    return Population(
        torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)), members, **options
    )


def test_the_mean_is_weighted() -> None:
    population = small()
    with torch.no_grad():
        for number in range(3):
            population.weights()["0.weight"][number] = number
    mean = population.mean(torch.tensor([1.0, 1.0, 2.0]))
    torch.testing.assert_close(mean["0.weight"], torch.full((8, 4), 1.25))
    population.set_all(mean)
    torch.testing.assert_close(population.weights()["0.weight"], torch.full((3, 8, 4), 1.25))


def test_the_quicker_way_is_found_once_and_survives() -> None:
    population = small(4)
    assert int(population.decided) == UNDECIDED
    with torch.no_grad():
        population(torch.randn(4, 5, 4))
    assert int(population.decided) == UNDECIDED
    population(torch.randn(4, 5, 4))
    assert int(population.decided) in (VECTORISED, ONE_BY_ONE)
    again = small(4)
    again.load_state_dict(population.state_dict())
    assert int(again.decided) == int(population.decided)


def test_calibration_changes_no_weights() -> None:
    population = small(4)
    before = {name: tensor.clone() for name, tensor in population.weights().items()}
    population(torch.randn(4, 5, 4)).sum().backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in population.weights().items())


def test_an_empty_population_is_refused() -> None:
    with pytest.raises(ParameterError, match="one member at least; got 0"):
        small(0)
