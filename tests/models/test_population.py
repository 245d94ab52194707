"""Population: a stack of networks is that many networks, vectorised or one by one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.data.specs import Spec
from manyways.errors import ParameterError
from manyways.models import _quicker
from manyways.models._quicker import ONE_BY_ONE, UNDECIDED, VECTORISED, quicker
from manyways.models.backbones import BACKBONES, make_backbone
from manyways.models.heads import LinearHead
from manyways.models.network import Network
from manyways.models.population import Population, member_norms, per_member

Specs = dict[str, tuple[Spec, Any]]


@pytest.fixture(autouse=True)
def nothing_chosen_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test chooses how members are run anew."""
    monkeypatch.setattr(_quicker, "_CHOSEN", {})


def test_every_network_we_ship_is_compared(shipped_specs: Specs) -> None:
    """Those with weights to learn; a checkpoint brings its own network."""
    learn = set()
    for name, kind in BACKBONES.all().items():
        if "pair" in kind.kinds:  # the outputs that it gives are no vector for each row
            continue
        specs = [spec for spec, _ in shipped_specs.values() if spec.kind in kind.kinds]
        if name.startswith("pretrained"):
            with pytest.raises(ParameterError, match="needs a checkpoint"):
                kind.for_spec(specs[0])
        elif list(kind.for_spec(specs[0]).parameters()):
            learn.add(name)
    assert learn == set(shipped_specs)


def test_both_ways_give_the_same_outputs_and_gradients(shipped: str, shipped_specs: Specs) -> None:
    """And those of each network alone; members differ, and so do their rows."""
    spec, rows = shipped_specs[shipped]
    torch.manual_seed(0)
    network = Network({"x": make_backbone(shipped, spec, 0.5)})
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


def test_one_machine_chooses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process, too: else a close call would give one seed now these weights and now others."""
    timed = []

    def time_both(ways: Any) -> int:
        timed.append(ways)
        return ONE_BY_ONE if len(timed) == 1 else VECTORISED

    monkeypatch.setattr(_quicker, "quicker", time_both)
    for _ in range(2):
        for _ in range(2):
            population = small(4)
            population.calibrate(torch.randn(4, 5, 4))
            assert int(population.decided) == ONE_BY_ONE
        _quicker._CHOSEN.clear()  # what another process does not know
    assert len(timed) == 1
    other = small(4)
    other.calibrate(torch.randn(4, 500, 4))
    assert len(timed) == 2, "other rows may be quicker the other way"
    assert int(other.decided) == VECTORISED


def test_the_quicker_way_is_found_though_others_work_on_the_machine() -> None:
    """Of two ways of 3 and 5 ms, each slowed down in two calls of three, the first is found."""
    clock, calls = [0.0], [0]

    def way(seconds: float) -> Callable[[], None]:
        def work() -> None:
            calls[0] += 1
            clock[0] += seconds * (1 if calls[0] % 3 == 0 else 10)

        return work

    assert quicker({ONE_BY_ONE: way(0.005), VECTORISED: way(0.003)}, clock=lambda: clock[0]) == VECTORISED
    assert quicker({ONE_BY_ONE: way(0.003), VECTORISED: way(0.005)}, clock=lambda: clock[0]) == ONE_BY_ONE


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
def test_members_compute_in_their_own_precision_under_autocast(name: str, shipped_specs: Specs) -> None:
    """Under vmap autocast would reach products, and not convolutions."""
    spec, rows = shipped_specs[name]
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
