"""NearestNeighbours: scikit-learn's votes, and files that hold nothing of rows that were forgotten."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from manyways.data.data import Data
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.nearest_neighbours import NearestNeighbours, Weights
from manyways.testing.trial import difference


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1).astype(np.float64)


def _table(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return np.stack([column.take(data.rows) for column in data.inputs], 1).astype(np.float64)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("neighbours", [1, 4, 9])
def test_votes_are_those_of_scikit_learn(digits: Data, neighbours: int, weights: Weights) -> None:
    scaler = StandardScaler().fit(_pixels(digits.training))
    reference = KNeighborsClassifier(neighbours, weights=weights)
    reference.fit(scaler.transform(_pixels(digits.training)), digits.training.take("label"))
    model = NearestNeighbours(neighbours=neighbours, weights=weights).fit(digits)
    given = scaler.transform(_pixels(digits.test))
    assert np.array_equal(model.predict(digits.test), reference.predict(given))
    np.testing.assert_allclose(model.probabilities(digits.test), reference.predict_proba(given), atol=2e-5)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_numbers_are_those_of_scikit_learn(diabetes: Data, weights: Weights) -> None:
    scaler = StandardScaler().fit(_table(diabetes.training))
    reference = KNeighborsRegressor(7, weights=weights)
    reference.fit(scaler.transform(_table(diabetes.training)), diabetes.training.take("label"))
    model = NearestNeighbours(neighbours=7, weights=weights).fit(diabetes)
    expected = reference.predict(scaler.transform(_table(diabetes.test)))
    np.testing.assert_allclose(model.predict(diabetes.test), expected, rtol=1e-5)


def test_rows_far_from_zero_are_still_told_apart(cancer: Data) -> None:
    """Years and dates: what all numbers have in common must not drown what they differ by."""
    column = cancer.inputs[0]
    moved = Data.from_columns(
        [
            type(column)(each.name, each.kind, np.asarray(each.values) + (3e5 if each.name == column.name else 0))
            if each.kind == "number" else each
            for each in cancer.columns.values()
        ],
        cancer.roles, part=cancer.part,
    )  # fmt: skip
    apart = NearestNeighbours().fit(moved).predict(moved.test) != NearestNeighbours().fit(cancer).predict(cancer.test)
    assert apart.mean() < 0.03


def test_fewer_rows_than_neighbours_all_vote(digits: Data) -> None:
    few = digits.with_labels(10, draw="stratified")
    assert len(set(NearestNeighbours(neighbours=50).fit(few).probabilities(digits.test)[0].round(3))) == 1


def test_features_of_forgotten_rows_are_in_no_file(digits: Data, tmp_path: Path) -> None:
    training = np.flatnonzero(digits.part[digits.rows] == 0)
    gone = np.zeros(len(digits), bool)
    gone[training[[3, 44, 500]]] = True
    method = NearestNeighbours()
    model = method.fit(digits)
    pieces = [row.tobytes() for row in model.embed(digits.select(gone))]

    def found(folder: Path) -> int:
        content = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
        return sum(any(piece in text for text in content) for piece in pieces)

    assert found(model.save(tmp_path / "model")) == 3
    assert found(method.forget(model, digits, gone).save(tmp_path / "model")) == 0


def test_features_of_a_model_are_bitwise_those_of_a_fit_without_the_rows(digits: Data) -> None:
    """Rows that stay keep the features that a fit without the others would compute in other batches."""
    start = SimCLR(batch_size=32).fit(digits.select(np.arange(len(digits)) % 2 == 1), budget=3)
    rows = digits.select(np.arange(len(digits)) % 2 == 0)
    gone = np.zeros(len(rows), bool)
    gone[np.flatnonzero(rows.part[rows.rows] == 0)[:50:7]] = True
    method = NearestNeighbours()
    assert difference(method.fit(rows.select(~gone), start), method.forget(method.fit(rows, start), rows, gone)) is None


@pytest.mark.parametrize("kind", ["sentences", "tones"])
def test_raw_text_and_sound_are_told_apart(kind: str, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(kind)
    assert NearestNeighbours().fit(data).evaluate(data.test)["accuracy"] > 0.8
