"""Nearest neighbours in a sliding window: those of scikit-learn, River's scores, and what is forgotten."""

import numpy as np
import pytest

from manyways.errors import ModelError
from manyways.methods.online.sliding_window_neighbours import SlidingWindowNeighbours

from .conftest import Arrays, Table, fit


def test_neighbours_are_those_of_scikit_learn(elec: Arrays, table: Table) -> None:
    """Of the last 200 rows, by inputs divided by their deviation."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    inputs, labels = elec[0][:1000], elec[1][:1000]
    scaled = (inputs - inputs.mean(0)) / np.where(inputs.std(0) > 0, inputs.std(0), 1)
    for weights in ("distance", "uniform"):
        method = SlidingWindowNeighbours(remembered=200, neighbours=7, weights=weights)  # type: ignore[arg-type]
        peer = KNeighborsClassifier(7, weights=weights).fit(scaled[800:], labels[800:])
        model = fit(method, table(inputs, labels))
        chances = model.probabilities(table(inputs, labels))
        np.testing.assert_allclose(chances, peer.predict_proba(scaled), atol=1e-4)
        number = KNeighborsRegressor(7, weights=weights).fit(np.delete(scaled, 1, 1)[800:], inputs[800:, 1])
        guesses = fit(method, table(np.delete(inputs, 1, 1), inputs[:, 1])).predict(
            table(np.delete(inputs, 1, 1), inputs[:, 1])
        )
        np.testing.assert_allclose(guesses, number.predict(np.delete(scaled, 1, 1)), atol=1e-4)


@pytest.mark.parametrize(("stream", "river"), [("elec", 0.8240), ("sea", 0.8555)])
def test_accuracy_of_neighbours_is_within_a_point_of_river(
    request: pytest.FixtureRequest, stream: str, river: float, table: Table
) -> None:
    score = fit(SlidingWindowNeighbours(), table(*request.getfixturevalue(stream))).prequential["accuracy"]
    assert score == pytest.approx(river, abs=0.01)


def test_older_rows_are_forgotten_at_a_drift(table: Table) -> None:
    inputs = np.random.default_rng(0).normal(size=(4000, 2))
    labels = (inputs[:, 0] > 0).astype(int)
    labels[2000:] = 1 - labels[2000:]
    data = table(inputs, labels)
    slow, quick = fit(SlidingWindowNeighbours(), data), fit(SlidingWindowNeighbours(drift="adwin"), data)
    assert len(quick.drifts) == 1
    assert 2000 < quick.drifts[0] < 2200
    assert quick.prequential["accuracy"] > slow.prequential["accuracy"] + 0.05


def test_distances_are_standardised_all_the_way_or_never(elec: Arrays, table: Table) -> None:
    data = table(elec[0][:100], elec[1][:100])
    with pytest.raises(ModelError, match=r"SlidingWindowNeighbours\.standardise must be True"):
        SlidingWindowNeighbours(standardise=False).fit(data, SlidingWindowNeighbours().fit(data))
