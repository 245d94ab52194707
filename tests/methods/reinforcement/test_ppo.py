"""PPO: CartPole, restarts and budgets, and environments that it must refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import manyways as mw
from manyways.errors import ModelError, NeedsError, TrainingError
from manyways.methods.bases import acting as acting_method
from manyways.methods.reinforcement.ppo import PPO, clipped_surrogate
from manyways.training.run import Run

SMALL = PPO(environments=4, horizon=8, batch_size=16, epochs=2, widths=(16,))
QUICK = PPO(learning_rate=5e-3, epochs=5, value_weight=1.0)

Makes = Callable[..., Any]


def test_cartpole_is_balanced() -> None:
    model = QUICK.fit("CartPole-v1", budget=320)
    assert model.evaluate("CartPole-v1") == {"mean_reward": 500.0, "std_reward": 0.0}
    assert PPO().fit("CartPole-v1", budget=1).evaluate("CartPole-v1")["mean_reward"] < 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_cartpole_is_balanced_by_default(seed: int) -> None:
    assert PPO().fit("CartPole-v1", seed=seed).evaluate("CartPole-v1")["mean_reward"] == 500


@pytest.mark.slow
def test_pendulum_is_swung_up() -> None:
    """Actions that are numbers: −1,200 by chance, about −150 at best."""
    score = PPO(discount=0.95).fit("Pendulum-v1", budget=2000).evaluate("Pendulum-v1")
    assert score["mean_reward"] > -300


def test_advantages_are_what_it_learns_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the sign of every advantage turned the pole falls sooner than by chance."""
    monkeypatch.setattr(
        "manyways.methods.reinforcement.ppo.clipped_surrogate",
        lambda ratio, advantages, clip: clipped_surrogate(ratio, -advantages, clip),
    )
    assert QUICK.fit("CartPole-v1", budget=80).evaluate("CartPole-v1")["mean_reward"] < 15


def test_goes_on_from_a_policy() -> None:
    start = QUICK.fit("CartPole-v1", budget=40)
    kept = {name: tensor.clone() for name, tensor in start.network.state_dict().items()}
    more = QUICK.fit("CartPole-v1", start, budget=1)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in start.network.state_dict().items())
    moved = sum(float((more.network.state_dict()[name] - tensor).abs().sum()) for name, tensor in kept.items())
    assert 0 < moved < 0.1 * sum(float(tensor.abs().sum()) for tensor in kept.values())
    with pytest.raises(ModelError, match="goes on from a policy that it made itself"):
        QUICK.fit("Pendulum-v1", start, budget=1)


# --- budgets and restarts --------------------------------------------------------------------------


def test_examples_are_steps_in_the_environments() -> None:
    """A rollout of 4 × 8 steps is learned from in 2 epochs of 2 minibatches: 8 steps each."""
    assert SMALL.fit("CartPole-v1", budget="96 examples").lineage.steps == 12
    odd = PPO(environments=3, horizon=7, batch_size=10, epochs=4)
    assert odd.fit("CartPole-v1", budget="42 examples").lineage.steps == 2 * odd.period()


class _Killed(BaseException):
    pass


def _die_at(step: int) -> Callable[[Any], None]:
    def follow(event: Any) -> None:
        if event.kind == "checkpoint" and event.step >= step:
            raise _Killed

    return follow


@pytest.mark.parametrize("environment", ["CartPole-v1", "Pendulum-v1"])
def test_resumed_across_seeds(environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before and after all environments were seeded anew, it ends with bitwise the same weights."""
    monkeypatch.setattr(acting_method, "LOGGED", 0)
    monkeypatch.setattr(acting_method, "FEWEST_LOGGED", 20)  # room for two rollouts of 8 steps
    whole = SMALL.fit(environment, budget=26, seed=3)
    for at in (3, 10, 18, 25):
        with pytest.raises(_Killed):
            SMALL.fit(environment, budget=26, seed=3, run=Run(tmp_path, [_die_at(at)], checkpoint_seconds=0))
    resumed = SMALL.fit(environment, budget=26, seed=3, run=Run(tmp_path))
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name


def test_an_environment_that_does_not_repeat_itself_cannot_be_resumed(unseeded: Any, tmp_path: Path) -> None:
    with pytest.raises(_Killed):
        SMALL.fit(unseeded, budget=12, run=Run(tmp_path, [_die_at(6)], checkpoint_seconds=0))
    with pytest.raises(TrainingError, match="did not do the same.*np_random"):
        SMALL.fit(unseeded, budget=12, run=Run(tmp_path))


def test_seconds_are_measured_over_whole_rollouts() -> None:
    """Timing takes steps back: environments, too, are where they were."""
    model = SMALL.fit("CartPole-v1", budget="0.5s")
    again = SMALL.fit("CartPole-v1", budget=model.lineage.steps)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, again.network.state_dict()[name]), name


# --- bad environments ------------------------------------------------------------------------------


def test_broken_environments_are_named(broken: Makes) -> None:
    with pytest.raises(TrainingError, match=r"observations that are not finite: \[nan\] at step 3, in environment 0"):
        SMALL.fit(broken("nan"), budget=4)
    with pytest.raises(TrainingError, match=r"rewards that are not finite: inf at step 2, in environment 0 of 4"):
        SMALL.fit(broken("reward"), budget=4)
    with pytest.raises(TrainingError, match="failed after 2 steps of 4 side by side: ZeroDivisionError: the pole has"):
        SMALL.fit(broken("error"), budget=4)


@pytest.mark.parametrize(
    ("observed", "allowed", "message"),
    [
        (spaces.Dict({"a": spaces.Discrete(2)}), spaces.Discrete(2), "observations of .* are a Dict.*Discrete and Box"),
        (spaces.Discrete(3), spaces.MultiBinary(2), "actions of .* are a MultiBinary.*Discrete and Box"),
        (spaces.Discrete(3), spaces.Box(0, 5, (2,), np.int64), "a Box of int64; a Box of actions must hold floating"),
    ],
)
def test_other_spaces_are_refused(spaced: Makes, observed: Any, allowed: Any, message: str) -> None:
    with pytest.raises(NeedsError, match=message):
        SMALL.fit(spaced(observed, allowed), budget=1)


def test_a_table_is_no_environment() -> None:
    with pytest.raises(NeedsError, match="digits is a table. Name one in its place: the id of a Gymnasium environment"):
        SMALL.fit("digits", budget=1)
    with pytest.raises(NeedsError, match="learns from rows, and CartPole-v1 is an environment"):
        mw.Supervised().fit("CartPole-v1")


def test_observations_of_few_states_are_ones_among_zeros() -> None:
    """The frozen lake, not slippery, is crossed by PPO, too."""
    lake = gymnasium.make("FrozenLake-v1", is_slippery=False)
    model = PPO(learning_rate=5e-3, entropy_weight=0.02).fit(lake, budget=240)
    assert model.evaluate(lake)["mean_reward"] == 1
