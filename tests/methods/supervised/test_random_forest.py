"""RandomForest: the votes of scikit-learn's trees, from arrays."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import ModelError
from manyways.methods.supervised.random_forest import RandomForest
from manyways.models.estimator import Estimator
from manyways.models.estimators.trees import TreesHead
from manyways.models.saving import load_model


def rows(label: str, count: int = 300) -> Data:
    """Three numbers, one of which has gaps, and a category; a class or a number follows from two of them."""
    rng = np.random.default_rng(0)
    numbers, kinds = rng.normal(size=(count, 3)), rng.integers(0, 4, count)
    worth = numbers[:, 0] + (kinds == 2) + np.where(np.isnan(numbers[:, 2]), 1, 0)
    numbers[rng.random(count) < 0.2, 1] = np.nan
    labels = {"number": worth, "category": np.array(["low", "high"], object)[(worth > 0.3).astype(int)]}
    columns = [
        Column("kind", "category", np.array(["a", "b", "c", "d"], object)[kinds]), Column("x", "number", numbers),
        Column("label", label, labels[label]),
    ]  # fmt: skip
    return Data.from_columns(columns, {"input": ["kind", "x"], "label": ["label"]}, name="rows").with_test(0.3)


def as_matrix(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    kinds = np.eye(4)[["abcd".index(each) for each in data.take("kind").tolist()]]
    return np.hstack([kinds, data.take("x")])


def test_classes_are_bitwise_those_that_scikit_learn_says(tmp_path: Path) -> None:
    data = rows("category")
    reference = RandomForestClassifier(20, random_state=4, class_weight="balanced")
    reference.fit(as_matrix(data.training), data.training.take("label"))
    model = RandomForest(trees=20, class_weight="balanced").fit(data, seed=4)
    wanted = reference.predict_proba(as_matrix(data.test))
    loaded = load_model(model.save(tmp_path / "model"))
    for each in (model, loaded):
        assert each.probabilities(data.test).tolist() == wanted.tolist()
        assert each.predict(data.test).tolist() == reference.predict(as_matrix(data.test)).tolist()
    assert model.probabilities(data.test.select(np.array([3, 1]))).tolist() == wanted[[3, 1]].tolist()
    assert model.evaluate(data.test)["accuracy"] > 0.75


def test_numbers_are_bitwise_those_that_scikit_learn_says() -> None:
    data = rows("number")
    options = {"max_depth": 6, "min_samples_leaf": 3}
    reference = RandomForestRegressor(15, max_features=0.5, random_state=0, **options)
    reference.fit(as_matrix(data.training), data.training.take("label"))
    model = RandomForest(trees=15, max_features=0.5, **options).fit(data)
    assert model.predict(data.test).tolist() == reference.predict(as_matrix(data.test)).tolist()


def test_a_category_that_was_never_seen_is_none() -> None:
    data = rows("category")
    model = RandomForest(trees=5).fit(data)
    assert isinstance(model, Estimator)
    kinds = np.array(["z"] * len(data.part), object)
    columns = [Column("kind", "category", kinds), data.columns["x"], data.columns["label"]]
    strange = Data.from_columns(columns, data.roles, part=data.part)
    with pytest.warns(match="never seen in training"):
        said = model.probabilities(strange.test)
    head = model.network.head
    assert isinstance(head, TreesHead)
    without = as_matrix(data.test)
    without[:, :4] = 0
    assert said.tolist() == head.probabilities(without).tolist()


def test_of_200_stores_each_is_told_from_the_others() -> None:
    """One class or the other by the store, with a twentieth of the labels turned."""
    rng = np.random.default_rng(0)
    stores, noise = rng.integers(0, 200, 2400), rng.normal(size=2400)
    label = np.array(["lo", "hi"], object)[(stores % 2) ^ (rng.random(2400) < 0.05)]
    columns = [
        Column("store", "category", np.array([f"S{store:03}" for store in stores], object)),
        Column("noise", "number", noise), Column("label", "category", label),
    ]  # fmt: skip
    data = Data.from_columns(columns, {"input": ["store", "noise"], "label": ["label"]}).with_test(0.25)
    assert RandomForest(trees=30).fit(data).evaluate(data.test)["accuracy"] > 0.88


def test_trees_without_an_end_are_refused() -> None:
    data = rows("category")
    model = RandomForest(trees=3).fit(data)
    assert isinstance(model, Estimator)
    head = model.network.head
    assert isinstance(head, TreesHead)
    inner = int(np.flatnonzero(head.feature.numpy() >= 0)[-1])
    head.left[inner] = inner
    with pytest.raises(ModelError, match="lead nowhere; the model is damaged"):
        model.predict(data.test)
