"""MatchingNet: attention by hand, classes it never saw, and models that are saved."""

from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.few_shot.matching_net import MatchingNet
from manyways.models.few_shot.matching import Matching
from manyways.models.few_shot_model import FewShotModel


def read(first: int, classes: int) -> Data:
    """Classes at places of their own in 3 of 20 columns; the others are noise, as large."""
    rng = np.random.default_rng(first)
    labels = np.arange(first, first + classes).repeat(12)
    values = rng.normal(size=(len(labels), 20))
    values[:, :3] = rng.normal(size=(classes, 3)).repeat(12, 0) + 0.1 * values[:, :3]
    columns = {f"x{number}": column for number, column in enumerate(values.T)}
    return mw.read({**columns, "label": labels}, label="label", kinds={"label": "category"})


@pytest.fixture(scope="module")
def places() -> tuple[Data, Data]:
    """Classes to learn from, and new ones."""
    return read(0, 40), read(40, 10)


@pytest.mark.quick
def test_a_class_has_the_attention_of_its_examples() -> None:
    """Two classes of two examples; cosines 1 and 0 of the first class, 0.6 and 0 of the second."""
    network = mw.Supervised().begin(read(0, 2), None, 0).network  # nothing of it is used
    shots = torch.tensor([[[[2.0, 0.0], [0.0, 3.0]], [[3.0, 4.0], [0.0, 1.0]]]])
    query = torch.tensor([[[5.0, 0.0]]])
    attention = torch.tensor([1.0, 0.0, 0.6, 0.0]).div(0.5).softmax(0)
    expected = torch.stack([attention[:2].sum(), attention[2:].sum()])
    torch.testing.assert_close(Matching(0.5).logits(network, shots, query)[0, 0].softmax(0), expected)
    # The head of an adapted model says the same, of examples in any order.
    order = torch.tensor([2, 0, 3, 1])
    head = Matching(0.5).head(network, shots.flatten(0, 2)[order], torch.tensor([0, 0, 1, 1])[order], 2)
    torch.testing.assert_close(head(query[0]).softmax(1)[0], expected)


def test_classes_never_seen_are_told_apart(places: tuple[Data, Data], tmp_path: Path) -> None:
    method = MatchingNet(ways=20, shots=1, queries=5, learning_rate=5e-3)
    trained, untrained = (method.fit(places[0], budget=steps) for steps in (150, 1))
    score = trained.evaluate(places[1], episodes=200)["accuracy"]
    assert score > untrained.evaluate(places[1], episodes=200)["accuracy"] + 0.15
    again = mw.load(trained.save(tmp_path / "model"))
    assert again.evaluate(places[1], episodes=200)["accuracy"] == score


def test_an_adapted_model_is_saved_with_its_examples(places: tuple[Data, Data], tmp_path: Path) -> None:
    model = MatchingNet().fit(places[0], budget=20)
    assert isinstance(model, FewShotModel)
    adapted = model.adapt(places[1].with_labels(30, draw="stratified"))
    assert adapted.evaluate(places[1])["accuracy"] > 0.3, "of ten classes"
    again = mw.load(adapted.save(tmp_path / "adapted"))
    np.testing.assert_array_equal(again.predict(places[1]), adapted.predict(places[1]))


def test_fewer_classes_than_ways_are_refused(places: tuple[Data, Data]) -> None:
    with pytest.raises(NeedsError, match=r"episodes of 41 classes are asked for, and data has 40\. .*ways=40"):
        MatchingNet(ways=41).fit(places[0], budget=1)
