"""Q-learning: its rule by hand, and problems whose best policies are known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import manyways as mw
from manyways.data.read import read
from manyways.errors import ModelError, NeedsError, TrainingError
from manyways.methods.reinforcement.q_learning import QLearning, repeats, td_errors
from manyways.randomness import generator
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer


@pytest.mark.quick
def test_errors_by_hand() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 5.0], [0.0, 0.0]])
    states, actions, reached = torch.tensor([0, 1, 0]), torch.tensor([1, 0, 0]), torch.tensor([1, 0, 1])
    terminated = torch.tensor([False, False, True])
    rewards = torch.tensor([1.0, -1.0, 4.0])
    errors = td_errors(values, states, actions, rewards, reached, terminated, 0.5)
    torch.testing.assert_close(errors, torch.tensor([2 - (1 + 2.5), 3 - (-1 + 1.0), 1 - 4.0]))


@pytest.mark.quick
def test_a_step_is_watkins_rule() -> None:
    """Q(s, a) moves by α times the error, by the mean of the errors where a pair came several times, and no other."""
    method = QLearning(environments=16, learning_rate=0.3, initial_value=0.5)
    learner = method.begin(read("FrozenLake-v1"), None, 0)
    with torch.no_grad():
        learner.network.values.copy_(torch.rand(16, 4, generator=generator(5)))
    before = learner.network.values.detach().clone()
    batches: list[dict[str, torch.Tensor]] = []
    draw = method.draw
    object.__setattr__(method, "draw", lambda *given: batches.append(draw(*given)) or batches[-1])
    take_step(method, learner, make_optimizer(method, learner), 0, 10, 0)
    moves: dict[tuple[int, int], list[float]] = {}
    (batch,) = batches
    for state, action, reward, reached, over in zip(
        *(batch[name].tolist() for name in ("states", "actions", "rewards", "reached", "terminated")), strict=True
    ):
        target = reward + (0 if over else 0.99 * float(before[reached].max()))
        moves.setdefault((state, action), []).append(0.3 * (target - float(before[state, action])))
    assert max(map(len, moves.values())) > 1
    expected = before.clone()
    for pair, each in moves.items():
        expected[pair] += np.mean(each)
    torch.testing.assert_close(learner.network.values.detach(), expected)


@pytest.mark.quick
def test_steps_that_begin_anew_do_not_count_as_repeats() -> None:
    pairs, real = torch.tensor([4, 7, 4, 4, 9]), torch.tensor([True, True, False, True, False])
    assert repeats(pairs, real).tolist() == [2, 1, 2, 2, 1]


@pytest.mark.quick
def test_exploration_falls_to_its_end_and_stays() -> None:
    method = QLearning(exploration=0.8, final_exploration=0.2, exploration_share=0.5)
    assert [method.epsilon(done) for done in (0, 0.25, 0.5, 0.9)] == pytest.approx([0.8, 0.5, 0.2, 0.2])


def test_slippery_lake_is_solved() -> None:
    """0.70 of episodes is what its registration calls solved; no policy reaches 0.75 in 100 steps."""
    model = QLearning().fit("FrozenLake-v1")
    assert model.evaluate("FrozenLake-v1", episodes=1000)["mean_reward"] >= 0.70  # type: ignore[call-arg]
    untrained = QLearning().fit("FrozenLake-v1", budget=1)
    assert untrained.evaluate("FrozenLake-v1", episodes=200)["mean_reward"] < 0.1  # type: ignore[call-arg]


def test_cliff_is_walked_on_the_shortest_way() -> None:
    assert QLearning().fit("CliffWalking-v1", budget=500).evaluate("CliffWalking-v1", episodes=1)["mean_reward"] == -13  # type: ignore[call-arg]


@pytest.mark.slow
def test_taxi_is_driven() -> None:
    """The best policy earns about 7.9."""
    assert QLearning().fit("Taxi-v4", budget=3000).evaluate("Taxi-v4", episodes=200)["mean_reward"] > 7.5  # type: ignore[call-arg]


def test_optimism_finds_what_chance_does_not() -> None:
    """A reward six steps away, with no chance in the lake nor in the actions."""
    lake = read("FrozenLake-v1", environment={"is_slippery": False})
    found = []
    for value in (1.0, 0.0):
        method = QLearning(environments=4, discount=0.9, exploration=0, final_exploration=0, initial_value=value)
        found.append(method.fit(lake, budget=400).evaluate(lake)["mean_reward"])
    assert found == [1.0, 0.0]


def test_needs_states_and_actions_to_count(spaced: Callable[..., Any]) -> None:
    with pytest.raises(NeedsError, match="those of CartPole-v1 are 4 numbers. Learn there with ppo"):
        QLearning().fit("CartPole-v1")
    steered = spaced(spaces.Discrete(3), spaces.Box(-1, 1, (2,)))
    with pytest.raises(NeedsError, match=r"it needs actions that can be counted \(Discrete\), .* are 2 numbers"):
        QLearning().fit(steered)


def test_starts_of_spaces_are_heeded() -> None:
    """States numbered from 5 and actions from −1: the best action is the last, which is told as 1."""

    class Fork(gymnasium.Env[Any, Any]):
        observation_space, action_space = spaces.Discrete(2, start=5), spaces.Discrete(3, start=-1)

        def reset(self, **options: Any) -> tuple[int, dict[str, Any]]:
            super().reset(seed=options.get("seed"))
            return 5, {}

        def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
            assert action in (-1, 0, 1)
            return 6, float(action), True, False, {}

    model: Any = QLearning(environments=8).fit(Fork, budget=100)
    assert model.predict(5)[0] == 1
    assert model.evaluate(Fork)["mean_reward"] == 1
    with pytest.raises(ModelError, match=r"whole number in \[5, 7\); got 4"):
        model.predict(4)


def test_a_reward_that_is_not_a_number_is_named(broken: Callable[..., Any]) -> None:
    counted = gymnasium.wrappers.TransformObservation(
        broken("reward")(), lambda seen: int(seen[0]) % 4, spaces.Discrete(4)
    )
    with pytest.raises(TrainingError, match=r"rewards that are not finite: inf at step 2, in environment 0 of 64"):
        QLearning().fit(counted, budget=5)


def test_saved_table_acts_the_same(tmp_path: Path) -> None:
    model: Any = QLearning().fit("CliffWalking-v1", budget=200)
    loaded: Any = mw.load(model.save(tmp_path / "model"))
    states = np.arange(48)
    assert np.array_equal(loaded.predict(states)[0], model.predict(states)[0])
