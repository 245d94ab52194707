"""Hoeffding trees and adaptive random forests: plain Python's trees, River's scores, drift, sample weights, damage."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataWarning, ModelError, NeedsError, ParameterError
from manyways.methods.online.adaptive_random_forest import AdaptiveRandomForest
from manyways.methods.online.hoeffding_tree import HoeffdingTree
from manyways.methods.online.no_change import NoChange
from manyways.methods.online.online_sgd import OnlineSGD
from manyways.models.stream import StreamPredictor
from manyways.models.streams.trees import ON_NUMBER, TreesHead

from .conftest import Arrays, Table, fit, rows, saved
from .plain_tree import Node, PlainTree

SOON: dict[str, Any] = {"grace_period": 60, "delta": 0.05}


def coloured(count: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Numbers, colours, and one of three classes that depends on both."""
    rng = np.random.default_rng(seed)
    inputs, colours = rng.normal(size=(count, 2)), np.array(list("rgb"), object)[rng.integers(0, 3, count)]
    labels = np.where(colours == "r", inputs[:, 0] > 0.3, 2 * (inputs[:, 1] > -0.2)).astype(int)
    return inputs, colours, np.where(rng.random(count) < 0.05, rng.integers(0, 3, count), labels)


def shape_of(model: StreamPredictor) -> Any:
    """The tests of the first tree, from the root down."""
    head = model.head
    assert isinstance(head, TreesHead)
    nodes, thresholds = head.state.nodes, head.state.thresholds

    def below(place: int) -> Any:
        node = nodes[place]
        if node["child"] < 0:
            return "leaf"
        children, child = [], int(node["child"])
        while child >= 0:
            children.append(below(child))
            child = int(nodes[child]["sibling"])
        cut = round(float(thresholds[place]), 4) if node["test"] == ON_NUMBER else int(node["category"])
        return int(node["attribute"]), cut, children

    return below(int(head.state.roots[0, 0]))


def shape_of_plain(node: Node, first: NDArray[Any]) -> Any:
    if not node.branches:
        return "leaf"
    children = [shape_of_plain(node.branches[which], first) for which in sorted(node.branches, key=_order)]
    if node.threshold is not None:
        return node.attribute, round(node.threshold - first[node.attribute], 4), children
    return node.attribute, -1 if node.category is None else int(node.category), children


def _order(which: object) -> float:
    return -float(which) if isinstance(which, bool) else float(str(which))


def test_a_tree_is_that_of_plain_python(table: Table) -> None:
    inputs, colours, labels = coloured(900)
    model = fit(HoeffdingTree(**SOON), table(inputs, labels, colour=colours))
    known = list(dict.fromkeys(colours.tolist()))
    plain, right = PlainTree([2], grace=60, delta=0.05, tau=0.05), 0
    for numbers, colour, label in zip(inputs.tolist(), colours, labels.tolist(), strict=True):
        row = (*numbers, known.index(colour))
        right += plain.predict(row) == label
        plain.learn(row, label)
    expected = shape_of_plain(plain.root, np.array([*inputs[0], 0]))
    assert expected != "leaf"
    assert "(2, " in str(expected)  # a test of the colour
    assert shape_of(model) == expected
    assert model.prequential["accuracy"] == pytest.approx(right / 900, abs=1.5 / 900)


def test_the_bound_is_that_of_hoeffding() -> None:
    from manyways.methods.online._splits import hoeffding_bound

    assert hoeffding_bound(1.0, 1e-7, 200) == pytest.approx(0.20074, abs=1e-5)
    assert hoeffding_bound(2.0, 0.01, 50) == pytest.approx(2 * np.sqrt(np.log(100) / 100))


# River 0.26.1: tree.HoeffdingTreeClassifier(), forest.ARFClassifier(seed=0), as printed by `benchmarks/stream.py`.


@pytest.mark.parametrize(
    ("method", "stream", "river"),
    [
        (HoeffdingTree(), "elec", 0.77339),
        (HoeffdingTree(), "sea", 0.87445),
        (HoeffdingTree(), "blobs", 0.25742),
        (AdaptiveRandomForest(), "elec", 0.85437),
        (AdaptiveRandomForest(), "sea", 0.88848),
    ],
)
def test_accuracy_is_within_a_point_of_river(
    request: pytest.FixtureRequest,
    method: HoeffdingTree | AdaptiveRandomForest,
    stream: str,
    river: float,
    table: Table,
) -> None:
    score = fit(method, table(*request.getfixturevalue(stream))).prequential["accuracy"]
    assert score > river - 0.01
    if isinstance(method, HoeffdingTree):
        assert score < river + 0.01


def drifting(table: Table, count: int = 6000) -> Data:
    """Two classes by the side of a line, which are exchanged after half of the rows."""
    inputs = np.random.default_rng(1).normal(size=(count, 3))
    labels = (inputs[:, 0] + inputs[:, 1] > 0).astype(int)
    labels[count // 2 :] = 1 - labels[count // 2 :]
    return table(inputs, labels)


@pytest.mark.parametrize("method", [AdaptiveRandomForest(window=500), HoeffdingTree(drift="adwin", window=500)])
def test_it_recovers_from_a_drift(method: AdaptiveRandomForest | HoeffdingTree, table: Table) -> None:
    data = drifting(table)
    model = fit(method, data)
    assert len(model.drifts) == model.lineage.facts["drifts"] > 0
    assert 3000 < model.drifts[0] < 3500
    scores = model.prequential_curve[:, 1]
    assert scores[6] < scores[5] - 0.05
    assert scores[-1] > 0.9
    plain = fit(HoeffdingTree(window=500), data)
    assert plain.prequential["accuracy"] < model.prequential["accuracy"] - 0.02
    assert model.prequential["accuracy"] > fit(NoChange(), data).prequential["accuracy"] + 0.2


def test_predictions_are_those_before_the_next_row(table: Table) -> None:
    """What a saved model says of the next row is what the prequential score counted."""
    inputs, colours, labels = coloured(560)
    data = table(inputs, labels, colour=colours)
    for method in (HoeffdingTree(**SOON), AdaptiveRandomForest(trees=3, **SOON)):
        model, right = fit(method, rows(data, 0, 500)), 0.0
        for at in range(500, 560):
            row = rows(data, at, at + 1)
            expected = model.predict(row)[0] == labels[at]
            before, model = model.prequential["accuracy"] * at, fit(method, row, model)
            assert round(model.prequential["accuracy"] * (at + 1) - before) == expected
            right += expected
        assert right > 30


def test_probabilities_add_up_and_new_categories_are_survived(table: Table) -> None:
    inputs, colours, labels = coloured(500)
    model = fit(HoeffdingTree(**SOON), table(inputs, labels, colour=colours))
    colours[:250], colours[250:260] = "violet", None
    with pytest.warns(DataWarning, match="never"):
        chances = model.probabilities(table(inputs, labels, colour=colours))
    assert np.allclose(chances.sum(1), 1, atol=1e-5)


def test_a_weight_of_two_is_a_row_twice(table: Table) -> None:
    inputs, colours, labels = coloured(300)
    twice = np.repeat(np.arange(300), 2)
    plain = table(inputs[twice], labels[twice], colour=colours[twice])
    once = table(inputs, labels, colour=colours)
    columns = [*once.columns.values(), Column("w", "number", np.full(300, 2.0))]
    weighed = Data.from_columns(columns, {**once.roles, "weight": ["w"]})
    first, second = fit(HoeffdingTree(grace_period=10_000), weighed), fit(HoeffdingTree(grace_period=10_000), plain)
    for one, other in zip(first.head.state, second.head.state, strict=True):  # type: ignore[call-overload]
        if one.dtype == np.float64 and one.ndim > 1:
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    nothing = replace(columns[-1], values=np.array([0.0, 1.0] * 150))
    ignored = Data.from_columns([*once.columns.values(), nothing], {**once.roles, "weight": ["w"]})
    half = np.arange(1, 300, 2)
    alone = table(inputs[half], labels[half], colour=colours[half])
    shape = shape_of(fit(HoeffdingTree(**SOON), alone))
    assert shape_of(fit(HoeffdingTree(**SOON), ignored))[0] == shape[0]


def test_a_label_that_is_a_number_is_refused(sea: Arrays, table: Table) -> None:
    with pytest.raises(NeedsError, match="category"):
        HoeffdingTree().fit(table(sea[0][:100, 1:], sea[0][:100, 0]))


def test_a_stream_goes_on_by_the_method_that_began_it(elec: Arrays, table: Table) -> None:
    data = table(elec[0][:200], elec[1][:200])
    model = fit(HoeffdingTree(), data)
    with pytest.raises(NeedsError, match="of a stream that hoeffding-tree learns"):
        OnlineSGD().fit(data, model)
    forest = fit(AdaptiveRandomForest(trees=3), data)
    with pytest.raises(ModelError, match=r"has 3 trees, and adaptive-random-forest would have 10"):
        AdaptiveRandomForest().fit(data, forest)


def test_missing_numbers_are_named(elec: Arrays, table: Table) -> None:
    inputs = elec[0][:300].copy()
    inputs[77, 2] = np.nan
    with pytest.raises(NeedsError, match=r"1 of 300 rows \(77; .*in 'x2'"):
        HoeffdingTree().fit(table(inputs, elec[1][:300]))
    with pytest.raises(ParameterError, match="delta"):
        HoeffdingTree(delta=0.0)


@pytest.mark.parametrize(
    ("tensor", "place", "value"),
    [
        ("nodes", (0, 3), 10**6),
        ("nodes", (0, 1), 99),
        ("roots", (0, 0), -1),
        ("subsets", (0, 0), 7),
        ("nodes", (0, 3), 0),
        ("pool", (0,), 999),
    ],
)
def test_a_damaged_tree_is_refused(table: Table, tensor: str, place: tuple[int, ...], value: int) -> None:
    """Compiled code takes these numbers as places in arrays."""
    inputs, colours, labels = coloured(500)
    model = fit(HoeffdingTree(**SOON), table(inputs, labels, colour=colours)).copy()
    model.head.check()
    model.head.get_buffer(tensor)[place] = value
    with pytest.raises(ModelError, match="The state of the stream holds impossible"):
        model.head.check()


def test_features_of_a_model_are_attributes(digits: Data, tmp_path: Path) -> None:
    whole = fit(HoeffdingTree(grace_period=100, delta=0.1), rows(digits.training, 0, 600))
    assert saved(whole, tmp_path).predict(digits.test).tolist() == whole.predict(digits.test).tolist()
    assert whole.evaluate(digits.test)["accuracy"] > 0.6
