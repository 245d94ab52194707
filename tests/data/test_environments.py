"""Environments are read from ids, objects and functions, made many at a time, and refused with what to type instead."""

import builtins
import functools
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from manyways.data.environments import find_environment
from manyways.data.read import read
from manyways.data.spaces import Choices
from manyways.errors import DataError, ParameterError

pytestmark = pytest.mark.quick


def made() -> Any:
    """An environment, made by a function."""
    return gymnasium.make("CartPole-v1")


def test_an_id_is_data_without_rows() -> None:
    data = read("CartPole-v1")
    assert len(data) == 0
    assert repr(data) == "Data('CartPole-v1', an environment)"
    assert data.environment is not None
    assert data.environment.spaces[1] == Choices(2)
    assert data.environment.longest == 500
    assert len(data.training) == len(data.test) == 0
    assert data.test.environment is data.environment


def test_fingerprints_tell_environments_apart() -> None:
    plain, again, other = (read(name).fingerprint for name in ("FrozenLake-v1", "FrozenLake-v1", "CartPole-v1"))
    windy = read("FrozenLake-v1", environment={"is_slippery": False}).fingerprint
    stepped = read(made).fingerprint
    assert plain == again
    assert len({plain, other, windy, stepped, read("digits").fingerprint}) == 5


def test_its_own_vector_class_is_taken_where_it_fits() -> None:
    """CartPole has one; not for options that only single ones know, nor under a wrapper."""
    own = find_environment("CartPole-v1")
    assert own is not None
    assert isinstance(own.make(3).unwrapped, CartPoleVectorEnv)
    wrapped = gymnasium.wrappers.TimeAwareObservation(gymnasium.make("CartPole-v1"))
    lake = find_environment("FrozenLake-v1", {"is_slippery": False})
    for each in (find_environment(wrapped), lake, find_environment(made)):
        assert each is not None
        vectors = each.make(3)
        assert isinstance(vectors, SyncVectorEnv)
        assert vectors.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert lake is not None
    chances = {len(ways) for actions in lake.make(1).envs[0].unwrapped.P.values() for ways in actions.values()}  # type: ignore[attr-defined]
    assert chances == {1}


def test_wrappers_and_options_of_an_object_are_kept() -> None:
    wrapped = gymnasium.wrappers.TimeAwareObservation(gymnasium.make("CartPole-v1", sutton_barto_reward=True))
    found = find_environment(wrapped)
    assert found is not None
    assert found.name == "CartPole-v1(sutton_barto_reward=True)"
    vectors = found.make(2)
    assert vectors.single_observation_space.shape == (5,)
    vectors.reset(seed=0)
    assert vectors.step(vectors.action_space.sample())[1].tolist() == [0, 0]


def test_objects_that_nobody_registered_are_copied() -> None:
    mine = CartPoleEnv()
    mine.reset(seed=0)
    state = tuple(mine.state)  # type: ignore[arg-type]
    found = find_environment(mine)
    assert found is not None
    vectors = found.make(2)
    vectors.reset(seed=1)
    vectors.step(vectors.action_space.sample())
    assert tuple(mine.state) == state  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "source", [made, functools.partial(gymnasium.make, "CartPole-v1"), CartPoleEnv, lambda: made().unwrapped]
)
def test_functions_and_classes_make_environments(source: Any) -> None:
    data = read(source)
    assert data.environment is not None
    assert data.environment.make(2).num_envs == 2


def test_module_that_registers_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import gymnasium\ngymnasium.register('Mine-v0', 'gymnasium.envs.classic_control:PendulumEnv')\n"
    (tmp_path / "my_worlds.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    data = read("my_worlds:Mine-v0")
    assert data.environment is not None
    assert data.environment.spaces[0].width == 3
    with pytest.raises(DataError, match="no such module"):
        read("no_worlds:Mine-v0")
    gymnasium.registry.pop("Mine-v0")
    sys.modules.pop("my_worlds")


def test_unknown_ids_are_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match="no environment 'CartPol-v1'. Did you mean 'CartPole-v1'"):
        read("CartPol-v1")
    with pytest.raises(DataError, match="Did you mean 'CartPole-v1'"):
        read("CartPole")
    with pytest.raises(DataError, match="Did you mean 'CliffWalking-v1'"):
        read("CliffWalking-v9")


def test_a_file_of_that_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("CartPole-v1").mkdir()
    (Path("CartPole-v1") / "train.csv").write_text("a,label\n1,x\n2,y\n3,x\n")
    assert len(read("CartPole-v1")) == 3


def test_roles_and_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"CartPole-v1 is an environment: .* leave label=… out"):
        read("CartPole-v1", label="y")
    with pytest.raises(ParameterError, match="options of an environment, and 'digits' is none"):
        read("digits", environment={"a": 1})
    with pytest.raises(DataError, match="an object, so it has its options already"):
        read(made, environment={"a": 1})
    with pytest.raises(
        DataError, match="cannot be made: TypeError: .*unexpected keyword argument 'colour'.*Try it alone"
    ):
        _ = read("FrozenLake-v1", environment={"colour": "red"}).environment.spaces  # type: ignore[union-attr]


def test_what_makes_no_environment_is_refused() -> None:
    with pytest.raises(DataError, match="must make a gymnasium.Env; it made 'int'"):
        _ = read(lambda: 3).environment.spaces  # type: ignore[union-attr]
    with pytest.raises(DataError, match="many environments already"):
        read(gymnasium.make_vec("CartPole-v1", 2))

    def stuck() -> Any:
        raise OSError("the simulator does not answer")

    with pytest.raises(DataError, match="cannot be made: OSError: the simulator does not answer"):
        _ = read(stuck).environment.spaces  # type: ignore[union-attr]


def test_vectors_that_hide_how_they_begin_anew_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CartPoleVectorEnv, "metadata", {"autoreset_mode": "sometimes"})
    with (
        pytest.warns(UserWarning, match="not an instance of AutoresetMode"),
        pytest.raises(DataError, match="CartPoleVectorEnv, does not say when .*got 'sometimes'"),
    ):
        read("CartPole-v1").environment.make(2)  # type: ignore[union-attr]


def test_without_gymnasium_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **others: Any) -> Any:
        if name == "gymnasium":
            raise ModuleNotFoundError(name)
        return real(name, *more, **others)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'manyways\[reinforcement\]'"):
        read("CartPole-v1")
    assert find_environment("owner/name-v2") is None
