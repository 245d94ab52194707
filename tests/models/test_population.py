"""Population: a stack of networks is that many networks, vectorised or one by one."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.data.specs import AudioSpec, ImageSpec, Spec, TableSpec, TextSpec
from manyways.errors import ParameterError
from manyways.models import population as populations
from manyways.models.backbones import backbones, make_backbone
from manyways.models.few_shot.inner_loop import descend
from manyways.models.heads import LinearHead
from manyways.models.network import Network
from manyways.models.population import (
    ONE_BY_ONE,
    UNDECIDED,
    VECTORISED,
    Call,
    MetaBatch,
    Population,
    Weights,
    member_norms,
    per_member,
)

SPECS: dict[str, tuple[Spec, Any]] = {
    "convnet": (ImageSpec(1, 12, 12), lambda g: torch.randint(256, (4, 5, 1, 12, 12), generator=g, dtype=torch.uint8)),
    "conv4": (ImageSpec(1, 12, 12), lambda g: torch.randint(256, (4, 5, 1, 12, 12), generator=g, dtype=torch.uint8)),
    "conv4-strided": (
        ImageSpec(3, 12, 12),
        lambda g: torch.randint(256, (4, 5, 3, 12, 12), generator=g, dtype=torch.uint8),
    ),
    "resnet": (ImageSpec(3, 16, 16), lambda g: torch.randint(256, (4, 5, 3, 16, 16), generator=g, dtype=torch.uint8)),
    "vit": (ImageSpec(3, 16, 16), lambda g: torch.randint(256, (4, 5, 3, 16, 16), generator=g, dtype=torch.uint8)),
    "perceptron": (TableSpec(6, ((0, 6),), (0,)), lambda g: torch.randn(4, 5, 6, generator=g)),
    "text-transformer": (TextSpec(50, 7), lambda g: torch.randint(4, 50, (4, 5, 7), generator=g)),
    "audio-net": (AudioSpec(8000, 2000), lambda g: torch.randint(-9000, 9000, (4, 5, 2000), generator=g).short()),
}


@pytest.fixture(autouse=True)
def nothing_chosen_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test chooses how members are run anew."""
    monkeypatch.setattr(populations, "_CHOSEN", {})


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


def one_step(call: Call, weights: Weights, given: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss after a step of gradient descent on the same rows."""

    def loss(now: Weights) -> Tensor:
        return cross_entropy(call(now, given["inputs"]), given["labels"])

    found = loss(descend(weights, loss, rate=0.1, steps=1, first_order=False))
    return found, {"twice": 2 * found}


@pytest.mark.parametrize("name", SPECS)
def test_the_gradient_through_a_step_is_the_same_both_ways_and_in_chunks(name: str) -> None:
    """Of tasks that start from the same weights; normalisation is by what a task is given, and keeps nothing."""
    spec, rows = SPECS[name]
    torch.manual_seed(0)
    network = Network({"x": make_backbone(name, spec, 0.5)})
    network.head = LinearHead(network.width, 3)
    network.double()
    before = {key: buffer.clone() for key, buffer in network.named_buffers()}
    given = rows(torch.Generator().manual_seed(1))
    inputs = {
        "inputs": {"x": given.double() if given.is_floating_point() else given},
        "labels": torch.randint(3, (4, 5), generator=torch.Generator().manual_seed(2)),
    }
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
def test_the_gradient_through_a_step_by_hand(first_order: bool) -> None:
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


def test_one_machine_chooses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process, too: else a close call would give one seed now these weights and now others."""
    timed = []

    def calibrate(self: Population, *_: Any) -> int:
        timed.append(self)
        return ONE_BY_ONE if len(timed) == 1 else VECTORISED

    monkeypatch.setattr(Population, "_calibrate", calibrate)
    for _ in range(2):
        for _ in range(2):
            population = small(4)
            population.calibrate(torch.randn(4, 5, 4))
            assert int(population.decided) == ONE_BY_ONE
        populations._CHOSEN.clear()  # what another process does not know
    assert len(timed) == 1
    other = small(4)
    other.calibrate(torch.randn(4, 500, 4))
    assert len(timed) == 2, "other rows may be quicker the other way"
    assert int(other.decided) == VECTORISED


@pytest.mark.parametrize("how", ["vectorised", "one by one"])
def test_fewer_rows_run_the_first_members(how: Any) -> None:
    population = small(4, how=how, chunk=2)
    with torch.no_grad():
        for weight in population.weights().values():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)))
    rows = torch.randn(4, 5, 4)
    torch.testing.assert_close(population(rows[:3]), population(rows)[:3])
    population(rows[:3]).square().sum().backward()
    for weight in population.weights().values():
        assert isinstance(weight.grad, Tensor)
        assert weight.grad[:3].flatten(1).norm(dim=1).min() > 0
        assert not weight.grad[3].any()
    with pytest.raises(ParameterError, match="5 members; the population has 4"):
        population(torch.randn(5, 5, 4))


@pytest.mark.parametrize("name", ["convnet", "audio-net", "perceptron"])
def test_members_compute_in_their_own_precision_under_autocast(name: str) -> None:
    """Under vmap autocast would reach products, and not convolutions."""
    spec, rows = SPECS[name]
    network = Network({"x": make_backbone(name, spec, 0.5)}, LinearHead(make_backbone(name, spec, 0.5).width, 3))
    inputs = {"x": rows(torch.Generator().manual_seed(1))}
    population = Population(network, 4, how="vectorised").eval()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = population(inputs)
    assert outputs.dtype == torch.float32
    torch.testing.assert_close(outputs, population(inputs))


def test_norms_are_of_each_member() -> None:
    tensors = {"a": torch.tensor([[3.0, 0.0], [1.0, 1.0]]), "b": torch.tensor([4.0, 1.0])}
    torch.testing.assert_close(member_norms(tensors), torch.tensor([5.0, 3**0.5]))
    doubled = per_member(torch.tensor([2.0, 0.5]), torch.ones(2, 3, 4))
    assert doubled.shape == (2, 1, 1)


def test_what_members_share_moves_with_them() -> None:
    """Constants that are not saved are held once, and follow to another type or device."""

    class Shifted(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 2)
            self.register_buffer("shift", torch.ones(2), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + self.shift

    population = Population(Shifted(), 3).double()
    assert population._template[0].shift.dtype == torch.float64
    assert population(torch.randn(3, 5, 4, dtype=torch.float64)).dtype == torch.float64


def test_calibration_changes_no_weights() -> None:
    population = small(4)
    before = {name: tensor.clone() for name, tensor in population.weights().items()}
    population(torch.randn(4, 5, 4)).sum().backward()
    assert all(torch.equal(before[name], tensor) for name, tensor in population.weights().items())


def test_an_empty_population_is_refused() -> None:
    with pytest.raises(ParameterError, match="one member at least; got 0"):
        small(0)
