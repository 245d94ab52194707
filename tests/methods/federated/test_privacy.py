"""Privacy: clipping and noise by hand, and an ε that is the accountant's."""

import math

import dp_accounting
import pytest
import torch
from dp_accounting import rdp

from manyways.methods.bases._privacy import clip_updates, epsilon, guarantee, noisy_mean
from manyways.models.population import member_norms

pytestmark = pytest.mark.quick


def test_updates_are_shortened_to_the_bound_and_keep_their_direction() -> None:
    updates = {"a": torch.tensor([[3.0, 0.0], [0.3, 0.0], [0.0, 0.0]]), "b": torch.tensor([[4.0], [0.4], [0.0]])}
    clipped = clip_updates(updates, 1.0)
    torch.testing.assert_close(member_norms(clipped), torch.tensor([1.0, 0.5, 0.0]))
    torch.testing.assert_close(clipped["a"][0], torch.tensor([0.6, 0.0]))
    torch.testing.assert_close(clipped["b"][0], torch.tensor([0.8]))
    assert torch.equal(clipped["a"][1], updates["a"][1])


def test_the_sum_gets_the_noise_and_a_fixed_denominator() -> None:
    updates = {"a": torch.full((3, 200, 200), 2.0), "b": torch.zeros(3, 10_000)}
    mean = noisy_mean(updates, 4.0, 0.5, torch.Generator().manual_seed(0))
    assert float(mean["a"].mean()) == pytest.approx(6 / 4, abs=3 * 0.5 / 4 / 200)
    assert float(mean["a"].std()) == pytest.approx(0.5 / 4, rel=0.02)
    assert float(mean["b"].std()) == pytest.approx(0.5 / 4, rel=0.03)
    exact = noisy_mean(updates, 4.0, 0.0, torch.Generator().manual_seed(0))
    assert torch.equal(exact["a"], torch.full((200, 200), 1.5))


@pytest.mark.parametrize(
    ("rounds", "share", "noise", "delta"), [(100, 0.1, 1.0, 1e-5), (37, 1.0, 4.0, 1e-6), (1, 0.3, 0.7, 1e-3)]
)
def test_epsilon_is_that_of_the_accountant(rounds: int, share: float, noise: float, delta: float) -> None:
    accountant = rdp.RdpAccountant()
    event = dp_accounting.PoissonSampledDpEvent(share, dp_accounting.GaussianDpEvent(noise))
    accountant.compose(dp_accounting.SelfComposedDpEvent(event, rounds))
    assert epsilon(rounds, share, noise, delta) == pytest.approx(accountant.get_epsilon(delta), rel=1e-9)
    said = guarantee(rounds, share, noise, delta)
    assert said["epsilon"] == epsilon(rounds, share, noise, delta)
    assert (said["delta"], said["unit"]) == (delta, "client")


def test_epsilon_against_the_closed_form_of_one_gaussian() -> None:
    """Above the exact δ(ε) of Balle & Wang (ICML 2018), and not by much."""
    noise, delta = 2.0, 1e-5
    stated = epsilon(1, 1.0, noise, delta)

    def exact_delta(at: float) -> float:
        def tail(x: float) -> float:
            return 0.5 * math.erfc(x / math.sqrt(2))

        return tail(at * noise - 1 / (2 * noise)) - math.exp(at) * tail(at * noise + 1 / (2 * noise))

    assert exact_delta(stated) < delta
    assert exact_delta(0.85 * stated) > delta


def test_no_round_tells_nothing() -> None:
    assert epsilon(0, 0.1, 1.0, 1e-5) == 0.0
