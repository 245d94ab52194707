"""Policies: asked as environments and Stable-Baselines3 ask them, scored over episodes, saved and loaded."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from manyways.data.read import read
from manyways.data.spaces import Choices, Numbers, read_space
from manyways.errors import DataError, ModelError
from manyways.methods.reinforcement.ppo import PPO
from manyways.methods.reinforcement.q_learning import QLearning
from manyways.models.acting.networks import ActorCritic, Moments
from manyways.models.policy import Policy
from manyways.models.saving import load_model


def leaning() -> Policy:
    """Pushes the cart to the side to which the pole leans: about 40 steps."""
    network = ActorCritic(4, 2, False, (), False)
    with torch.no_grad():
        network.actor[0].weight.copy_(torch.tensor([[0.0, 0, -1, 0], [0, 0, 1, 0]]))
    cart = gymnasium.make("CartPole-v1")
    observed, allowed = (read_space(space, "") for space in (cart.observation_space, cart.action_space))
    return Policy(network=network, observation_space=observed, action_space=allowed, gives=frozenset({"act"}))


def by_hand(policy: Policy, seeds: range) -> list[float]:
    """The sum of rewards of an episode from each seed, played as Gymnasium's own documentation plays it."""
    environment, found = gymnasium.make("CartPole-v1"), []
    for seed in seeds:
        observation, _ = environment.reset(seed=seed)
        over, total = False, 0.0
        while not over:
            action, _ = policy.predict(observation)
            observation, reward, terminated, truncated, _ = environment.step(action)
            over, total = terminated or truncated, total + float(reward)
        found.append(total)
    return found


def test_acts_in_a_plain_environment() -> None:
    """It is scored as when it is played by hand: from the same seeds exactly the same."""
    policy = leaning()
    found = policy.evaluate(lambda: gymnasium.make("CartPole-v1"), episodes=12, seed=5)
    rewards = by_hand(policy, range(5, 17))
    assert found == {"mean_reward": np.mean(rewards), "std_reward": np.std(rewards)}
    assert 30 < found["mean_reward"] < 60


def test_own_vectors_are_scored_alike() -> None:
    """CartPole's own vector class has another stream of chance, and steps in which it begins anew."""
    policy = leaning()
    own = policy.evaluate("CartPole-v1", episodes=200)["mean_reward"]
    assert own == pytest.approx(float(np.mean(by_hand(policy, range(200)))), abs=2.5)
    assert own == policy.evaluate(read("CartPole-v1"), episodes=200)["mean_reward"]


def test_one_observation_or_several() -> None:
    policy = leaning()
    left, right = np.array([0, 0, -0.1, 0], np.float32), np.array([0, 0, 0.1, 0], np.float32)
    action, state = policy.predict(right, state="kept", episode_start=np.ones(1, bool), deterministic=True)
    assert action == 1
    assert np.shape(action) == ()
    assert state == "kept"
    assert policy.predict(np.stack([left, right, right]))[0].tolist() == [0, 1, 1]
    assert policy.predict([0, 0, -0.1, 0])[0] == 0
    with pytest.raises(ModelError, match=r"shape \(4,\), or \(n, \*\(4,\)\) where there are several; got \(3,\)"):
        policy.predict(right[:3])


def test_draws_only_when_asked_to() -> None:
    policy = leaning()
    rows = np.tile(np.array([0, 0, 0.1, 0], np.float32), (400, 1))
    assert set(policy.predict(rows)[0].tolist()) == {1}
    torch.manual_seed(0)
    drawn = policy.predict(rows, deterministic=False)[0]
    torch.manual_seed(0)
    assert np.array_equal(drawn, policy.predict(rows, deterministic=False)[0])
    assert drawn.mean() == pytest.approx(float(torch.tensor([-0.1, 0.1]).softmax(0)[1]), abs=0.07)


def test_numbers_stay_in_their_bounds() -> None:
    observed, allowed = Numbers((3,), (-1.0,), (1.0,)), Numbers((1,), (-2.0,), (2.0,))
    network = ActorCritic(3, 1, True, (4,), False)
    torch.nn.init.constant_(network.actor[-1].bias, 0.25)
    torch.nn.init.zeros_(network.actor[-1].weight)
    policy = Policy(network=network, observation_space=observed, action_space=allowed)
    action, _ = policy.predict(np.zeros(3))
    assert action.tolist() == [0.5]
    assert action.dtype == np.float32
    drawn = policy.predict(np.zeros((500, 3)), deterministic=False)[0]
    assert drawn.shape == (500, 1)
    assert (drawn.min(), drawn.max()) == (-2, 2)


def test_episodes_without_an_end_are_cut() -> None:
    """CliffWalking has no time limit: a table that only walks into the wall would walk for ever."""
    observed, allowed = Choices(48), Choices(4)
    from manyways.models.acting.networks import QTable

    policy = Policy(network=QTable(48, 4), observation_space=observed, action_space=allowed)
    assert policy.evaluate("CliffWalking-v1", episodes=1)["mean_reward"] == -10_000


@pytest.mark.parametrize("learned", [PPO(environments=4, horizon=8, normalise_observations=True), QLearning()])
def test_saved_and_loaded(learned: Any, tmp_path: Path) -> None:
    model = learned.fit("FrozenLake-v1", budget=12)
    loaded: Any = load_model(model.save(tmp_path / "model"))
    assert isinstance(loaded, Policy)
    assert (loaded.observation_space, loaded.action_space) == (model.observation_space, model.action_space)
    assert np.array_equal(loaded.predict(np.arange(16))[0], model.predict(np.arange(16))[0])
    assert loaded.evaluate("FrozenLake-v1", episodes=5) == model.evaluate("FrozenLake-v1", episodes=5)


def test_says_where_it_does_not_fit() -> None:
    policy = leaning()
    with pytest.raises(
        ModelError, match="acts on 4 numbers by 2 choices; in Pendulum-v1 there are 3 numbers and 1 num"
    ):
        policy.evaluate("Pendulum-v1")
    with pytest.raises(DataError, match="scored in an environment, and digits is a table"):
        policy.evaluate("digits")
    with pytest.raises(ModelError, match="says what to do in an environment, and nothing about rows"):
        policy.predict(read("digits"))
    with pytest.raises(ModelError, match="nothing about rows"):
        policy.as_predictor()


def test_moments_are_those_of_all_values() -> None:
    values = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) * 5 + 3
    moments = Moments((2,))
    for part in values.split([10, 250, 40]):
        moments.notice(part)
    torch.testing.assert_close(moments.mean, values.double().mean(0))
    torch.testing.assert_close(moments.deviation, values.double().std(0, unbiased=False))


def test_spaces_other_than_gymnasiums_are_kept_apart() -> None:
    """Two environments with as many numbers but other bounds are not taken for each other."""
    policy = leaning()
    wide = gymnasium.wrappers.TransformObservation(
        gymnasium.make("CartPole-v1"), lambda seen: seen, spaces.Box(-9, 9, (4,))
    )
    with pytest.raises(ModelError, match="or their bounds differ"):
        policy.evaluate(wide)
