"""Averages of networks: those of weights, and the encoder that makes keys."""

import math

import pytest
import torch
from torch import Tensor, nn

from manyways.models.backbones._layers import BatchNorm
from manyways.training.average import AverageNetwork, MomentumEncoder, rising

pytestmark = pytest.mark.quick


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), BatchNorm(4))


def moved(network: nn.Module) -> nn.Module:
    """The network, all that it holds changed."""
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.add_(1.0)
    return network


def values(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_the_decay_rises_to_one_along_half_a_cosine() -> None:
    decays = [rising(0.9, step, 100) for step in range(101)]
    assert decays == sorted(decays)
    assert decays[0] == pytest.approx(0.9)
    assert decays[50] == pytest.approx(0.95)
    assert decays[25] == pytest.approx(1 - 0.1 * (math.cos(math.pi / 4) + 1) / 2)
    assert decays[100] == pytest.approx(1.0)


def test_weights_and_running_statistics_follow_by_the_decay_of_the_step() -> None:
    network = small()
    keys = MomentumEncoder(network, 0.9)
    before, after = values(network), values(moved(network))
    step, steps = 500, 1000
    keys.follow(network, step, steps)
    for name, value in values(keys.network).items():
        torch.testing.assert_close(value, 0.95 * before[name] + 0.05 * after[name])


def test_in_the_first_steps_statistics_follow_at_once_and_weights_do_not() -> None:
    """Statistics begin as those of no data; weights that follow at once make all keys one."""
    network = small()
    keys = MomentumEncoder(network, 0.99)
    before, after = values(network), values(moved(network))
    keys.follow(network, 0, 1000)
    for name, value in values(keys.network).items():
        kept = 0.1 if "running" in name else 0.99
        torch.testing.assert_close(value, kept * before[name] + (1 - kept) * after[name])


def test_it_stands_still_in_the_end() -> None:
    network = small()
    keys = MomentumEncoder(network, 0.5)
    before = values(keys.network)
    keys.follow(moved(network), 9_999, 10_000)
    weights = dict(keys.network.named_parameters())
    assert all((weights[name] - before[name]).abs().max() < 1e-6 for name in weights)


def test_a_key_says_nothing_of_the_batch_it_was_made_in() -> None:
    """By statistics of the batch, a query could find its key without looking at the row."""
    keys = MomentumEncoder(small(), 0.99).train()
    rows = torch.randn(6, 3)
    torch.testing.assert_close(keys.network(rows)[:2], keys.network(rows[:2]))
    queries = small().train()
    assert not torch.allclose(queries(rows)[:2], queries(rows[:2]), atol=1e-3)


def test_it_is_no_part_of_what_is_trained_and_survives_a_restart() -> None:
    network = small()
    keys = MomentumEncoder(network, 0.5)
    assert not any(parameter.requires_grad for parameter in keys.parameters())
    keys.follow(moved(network), 3, 10)
    again = MomentumEncoder(small(), 0.5)
    again.load_state_dict(keys.state_dict())
    assert all(map(torch.equal, again.state_dict().values(), keys.state_dict().values()))


def test_the_average_of_weights_copies_running_statistics() -> None:
    network = small()
    average = AverageNetwork(network, 0.9)
    before, after = values(network), values(moved(network))
    average.follow(network, 1000)
    for name, value in values(average.network).items():
        kept = 0.0 if "running" in name else 0.9
        torch.testing.assert_close(value, kept * before[name] + (1 - kept) * after[name])
