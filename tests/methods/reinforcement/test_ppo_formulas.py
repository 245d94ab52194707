"""PPO by hand: its formulas, and what it makes of steps in environments and of their ends."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import manyways as mw
from manyways.data.environments import Environment
from manyways.data.read import read
from manyways.methods.reinforcement.ppo import PPO, clipped_surrogate, generalised_advantages, value_loss
from manyways.models.acting.networks import ActorCritic
from manyways.randomness import generator

pytestmark = pytest.mark.quick

SMALL = PPO(environments=4, horizon=8, batch_size=16, epochs=2, widths=(16,))

Makes = Callable[..., Any]


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (math.e, 1.0, -1.2),
        (1 / math.e, 1.0, -0.367879441),
        (math.exp(0.1), 1.0, -1.105170918),
        (math.e, -1.0, math.e),
        (1 / math.e, -1.0, 0.8),
    ],
)
def test_clipped_surrogate_by_hand(ratio: float, advantage: float, expected: float) -> None:
    """A ratio is rewarded to 1.2 and no further, and punished as far as it went."""
    loss = clipped_surrogate(torch.tensor([math.log(ratio)]), torch.tensor([advantage]), 0.2)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_advantages_by_hand() -> None:
    values = rewards = torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    following = torch.tensor(
        [[0.0], [0.0], [1.0], [7.0]]
    )  # nothing follows where the task ends, whatever the critic says
    ended = torch.tensor([[False], [False], [False], [True]])
    advantages = generalised_advantages(rewards, values, following, ended, ended, 0.9, 0.95)
    torch.testing.assert_close(
        (advantages + values)[:, 0], torch.tensor([0.657922500, 0.7695, 0.9, 1.0]), atol=1e-6, rtol=0
    )


def test_advantages_are_the_sum_of_discounted_errors() -> None:
    """For several environments at once, against the definition: sums of (γλ)^k δ up to where an episode ended."""
    rng = generator(1)
    rewards, values, following = torch.randn(3, 12, 5, generator=rng, dtype=torch.float64)
    terminated, truncated = torch.rand(2, 12, 5, generator=rng) < 0.15
    ended = terminated | truncated
    found = generalised_advantages(rewards, values, following, terminated, ended, 0.97, 0.9)
    for place in range(5):
        for at in range(12):
            expected, weight = 0.0, 1.0
            for later in range(at, 12):
                after = 0.0 if terminated[later, place] else float(following[later, place])
                expected += weight * float(rewards[later, place] + 0.97 * after - values[later, place])
                if ended[later, place]:
                    break
                weight *= 0.97 * 0.9
            assert float(found[at, place]) == pytest.approx(expected, abs=1e-12)


def test_value_loss_by_hand() -> None:
    """Clipped, a value that moved by 2 of the 1 allowed counts as one that moved by 1, where that is worse."""
    values, targets, before = torch.tensor([3.0]), torch.tensor([3.0]), torch.tensor([1.0])
    assert float(value_loss(values, targets, before, None)) == 0
    assert float(value_loss(values, targets, before, 1.0)) == 0.5
    assert float(value_loss(values, torch.tensor([0.0]), before, 1.0)) == 4.5


@pytest.mark.parametrize("continuous", [False, True])
def test_probabilities_are_those_of_torch_distributions(continuous: bool) -> None:
    network = ActorCritic(3, 2, continuous, (8,), standardise=False)
    observations = torch.randn(64, 3, generator=generator(0))
    if continuous:
        with torch.no_grad():
            network.log_deviation.copy_(torch.tensor([0.3, -0.7]))
        expected: Any = torch.distributions.Normal(network.actor(observations), network.log_deviation.exp())
        actions = torch.randn(64, 2, generator=generator(1))
        likely, entropy = expected.log_prob(actions).sum(-1), expected.entropy().sum(-1)
    else:
        expected = torch.distributions.Categorical(logits=network.actor(observations))
        actions = torch.randint(2, (64,), generator=generator(1))
        likely, entropy = expected.log_prob(actions), expected.entropy()
    found = network.judge(observations, actions)
    torch.testing.assert_close(found[0], likely)
    torch.testing.assert_close(found[1], entropy)
    torch.testing.assert_close(found[2], network.value(observations))


def test_choices_follow_their_probabilities() -> None:
    """A draw with noise is a draw from the softmax, or from the Gaussian, of what the actor says."""
    discrete, gaussian = ActorCritic(1, 3, False, (4,), False), ActorCritic(1, 1, True, (4,), False)
    seen = torch.ones(20_000, 1)
    with torch.no_grad():
        discrete.actor[-1].bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
        gaussian.log_deviation.fill_(math.log(0.5))
        shares = discrete.choose(seen, discrete.draw_noise((20_000,), generator(0))).bincount(minlength=3) / 20_000
        torch.testing.assert_close(shares, discrete.actor(seen[0]).softmax(-1), atol=0.015, rtol=0)
        drawn = gaussian.choose(seen, gaussian.draw_noise((20_000,), generator(0)))
        assert float(drawn.mean()) == pytest.approx(float(gaussian.decide(seen[:1])), abs=0.02)
        assert float(drawn.std()) == pytest.approx(0.5, abs=0.02)


def test_weights_are_orthogonal_at_first() -> None:
    network = ActorCritic(8, 4, False, (16,), False)
    first, last, value = network.actor[0].weight, network.actor[-1].weight, network.critic[-1].weight
    torch.testing.assert_close(first.T @ first, 2 * torch.eye(8))
    torch.testing.assert_close(last @ last.T, 1e-4 * torch.eye(4))
    torch.testing.assert_close(value @ value.T, torch.ones(1, 1))


class Modes(Environment):
    """Environments that begin episodes anew in a given way."""

    def __init__(self, make: Makes, mode: AutoresetMode) -> None:
        super().__init__("modes", factory=make)
        object.__setattr__(self, "mode", mode)

    def make(self, count: int) -> Any:
        return SyncVectorEnv([self.make_one] * count, autoreset_mode=self.mode)  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("end", ["terminate", "cut"])
def test_what_follows_the_end_of_an_episode(mode: AutoresetMode, end: str, counting: Makes) -> None:
    """Episodes of 3 steps that earn 1, 2, 3: after the last nothing follows, or what the critic says of the state 3.

    With γ = 0.5 and λ = 1 returns follow from the rewards alone: 2.75, 3.5, 3 where the task ends after 3 steps. Where
    time runs out, the critic, which says 10 times what it sees, adds 30 γ^k. The step that some modes take to begin
    anew is not learned from.
    """
    data = mw.Data.of_environment(Modes(counting(**{end: 3}), mode))
    method = PPO(environments=2, horizon=9, discount=0.5, gae_lambda=1.0, normalise_rewards=False, epochs=1)
    learner = method.begin(data, None, 0)
    learner.network.value = lambda seen: 10 * seen[..., 0]  # type: ignore[method-assign]
    method.act(learner, 0, generator(0))
    states, targets = learner.observations.view(9, 2), learner.targets.view(9, 2)
    real = learner.real.view(9, 2)
    later = 0.0 if end == "terminate" else 30.0
    expected = {0: 2.75 + later / 8, 1: 3.5 + later / 4, 2: 3 + later / 2}
    assert bool((states[real] < 3).all())
    assert real.sum() == (18 if mode is not AutoresetMode.NEXT_STEP else 14)
    whole = 9 if mode is not AutoresetMode.NEXT_STEP else 7  # the episode that the rollout ends in is not over
    for state, target, carried in zip(states[:whole].flatten(), targets[:whole].flatten(), real[:whole].flatten()):  # noqa: B905
        if carried:
            assert float(target) == pytest.approx(expected[int(state)])


def test_minibatches_hold_every_real_step_once_an_epoch(counting: Makes) -> None:
    data = mw.Data.of_environment(Modes(counting(cut=3), AutoresetMode.NEXT_STEP))
    method = PPO(environments=4, horizon=16, batch_size=16, epochs=2)
    learner = method.begin(data, None, 0)
    batches = [method.draw(learner, step, generator(step)) for step in range(method.period())]
    assert method.period() == 8
    for epoch in (batches[:4], batches[4:]):
        drawn = torch.cat([batch["targets"] for batch in epoch])
        assert torch.equal(drawn.sort().values, learner.targets[learner.real].sort().values)
    assert not torch.equal(batches[0]["targets"], batches[4]["targets"]), "both epochs have the same order"


def test_first_ratio_is_one() -> None:
    """What was done is judged by the network that did it."""
    method = PPO(environments=4, horizon=16, normalise_observations=True)
    learner = method.begin(read("Pendulum-v1"), None, 0)
    method.prepare(learner)
    for step in (0, method.period()):
        batch = method.draw(learner, step, generator(step))
        likely = learner.network.judge(batch["observations"], batch["actions"])[0]
        torch.testing.assert_close(likely, batch["log_probs"])


def test_observations_are_standardised_by_what_was_seen() -> None:
    method = PPO(environments=8, horizon=64, normalise_observations=True)
    learner = method.begin(read("Pendulum-v1"), None, 0)
    method.prepare(learner)
    seen = learner.network.moments
    assert int(seen.count) == 8 * 64
    method.draw(learner, 0, generator(0))
    first = learner.observations.double()
    mean = seen.mean.clone()
    method.draw(learner, method.period(), generator(1))
    assert int(seen.count) == 2 * 8 * 64
    torch.testing.assert_close(seen.mean, (mean + first.mean(0)) / 2)
    standard = learner.network.seen(learner.observations)
    assert float(standard.mean(0).abs().max()) < 0.5
    assert 0.5 < float(standard.std(0).min()) <= float(standard.std(0).max()) < 2


def test_rewards_are_divided_by_the_deviation_of_their_sums(counting: Makes) -> None:
    data = mw.Data.of_environment(Modes(counting(terminate=4), AutoresetMode.SAME_STEP))
    learners = []
    for scale in (True, False):
        method = PPO(environments=2, horizon=8, normalise_rewards=scale, discount=0.5, gae_lambda=1.0)
        learners.append(method.begin(data, None, 0))
        learners[-1].network.value = lambda seen: 0 * seen[..., 0]  # type: ignore[method-assign]
        method.act(learners[-1], 0, generator(0))
    sums = torch.tensor([1.0, 2.5, 4.25, 6.125] * 4)
    torch.testing.assert_close(learners[0].targets * sums.std(unbiased=False), learners[1].targets)


@pytest.mark.parametrize(("discount", "gae_lambda"), [(0.5, 0.0), (0.5, 0.5), (0.9, 1.0)])
def test_a_rollout_is_learned_from_with_its_own_lambda(discount: float, gae_lambda: float, counting: Makes) -> None:
    """Advantages of a rollout of 3 steps that earn 1, 2, 3, and then end; the critic says 4 times what it sees."""
    data = mw.Data.of_environment(Modes(counting(terminate=3), AutoresetMode.SAME_STEP))
    method = PPO(environments=2, horizon=3, discount=discount, gae_lambda=gae_lambda, normalise_rewards=False, epochs=1)
    learner = method.begin(data, None, 0)
    learner.network.value = lambda seen: 4 * seen[..., 0]  # type: ignore[method-assign]
    method.act(learner, 0, generator(0))
    errors = [1 + discount * 4 - 0, 2 + discount * 8 - 4, 3 - 8]
    last = errors[2]
    middle = errors[1] + discount * gae_lambda * last
    first = errors[0] + discount * gae_lambda * middle
    torch.testing.assert_close(learner.advantages.view(3, 2)[:, 0], torch.tensor([first, middle, last]))
    torch.testing.assert_close(learner.targets.view(3, 2)[:, 0], torch.tensor([first, middle + 4, last + 8]))
