"""Omniglot, five new characters from one drawing each: what few-shot and meta-learning reach, and what chance does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from manyways.data.data import Data
from manyways.data.read import read
from manyways.methods.few_shot.proto_net import ProtoNet
from manyways.methods.meta.maml import MAML

EPISODES = 1000


@pytest.fixture(scope="module")
def characters() -> Callable[[Path], Data]:
    """Characters of the background alphabets to learn from, and of the other ones as test rows, 28 pixels high."""

    def found(folder: Path) -> Data:
        test = folder / "images_evaluation.npz"
        return read(folder / "images_background.npz", test=test, image_size=28, kinds={"label": "category"})

    return found


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_prototypes_tell_new_characters_apart(
    real_data: Callable[[str], Path], characters: Callable[[Path], Data]
) -> None:
    data = characters(real_data("omniglot"))
    method = ProtoNet(backbone="conv4-strided", turned_classes=True)
    model = method.fit(data, budget=7000)
    assert model.evaluate(data.test, ways=5, episodes=EPISODES)["accuracy"] >= 0.975


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_step_of_gradient_descent_tells_new_characters_apart(
    real_data: Callable[[str], Path], characters: Callable[[Path], Data]
) -> None:
    data = characters(real_data("omniglot"))
    method = MAML(backbone="conv4-strided", turned_classes=True)
    model = method.fit(data, budget=2500)
    options = {"ways": 5, "episodes": EPISODES}
    assert model.evaluate(data.test, transductive=True, **options)["transductive_accuracy"] >= 0.95
    # Without meta-training a step on random features tells little.
    assert method.fit(data, budget=1).evaluate(data.test, ways=5, episodes=100)["accuracy"] < 0.6
