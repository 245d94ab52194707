"""NearestCentroid: scikit-learn's prototypes, on raw inputs and on the features of a model."""

import warnings

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid as Reference
from sklearn.preprocessing import StandardScaler

from manyways.data.data import Data
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.nearest_centroid import NearestCentroid, NearestCentroidHead
from manyways.models.model import Model


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1).astype(np.float64)


def _reference(features: np.ndarray, labels: np.ndarray) -> Reference:  # type: ignore[type-arg]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pixels that are always black
        return Reference().fit(features, labels)


def _head(model: Model) -> NearestCentroidHead:
    head = model.network.head
    assert isinstance(head, NearestCentroidHead)
    return head


@pytest.mark.parametrize("standardise", [True, False])
def test_prototypes_are_those_of_scikit_learn(digits: Data, standardise: bool) -> None:
    scaler = StandardScaler(with_mean=False, with_std=standardise).fit(_pixels(digits.training))
    reference = _reference(scaler.transform(_pixels(digits.training)), digits.training.take("label"))
    model = NearestCentroid(standardise=standardise).fit(digits)
    centres = (_head(model).centres / _head(model).scale).numpy()
    np.testing.assert_allclose(centres, reference.centroids_, rtol=1e-8, atol=1e-12)
    assert np.array_equal(model.predict(digits.test), reference.predict(scaler.transform(_pixels(digits.test))))


def test_standardising_matters_where_numbers_have_units(wine: Data) -> None:
    raw, scaled = (
        NearestCentroid(standardise=each).fit(wine).evaluate(wine.test)["accuracy"] for each in (False, True)
    )
    assert scaled > raw + 0.1


def test_works_on_the_features_of_a_model(digits: Data) -> None:
    few = digits.with_labels(100, draw="stratified")
    start = SimCLR(batch_size=32).fit(few, budget=3)
    shown = few.training.select(few.training.labelled)
    reference = _reference(start.embed(shown).astype(np.float64), shown.take("label"))
    model = NearestCentroid(standardise=False).fit(few, start)
    np.testing.assert_allclose(_head(model).centres, reference.centroids_, rtol=1e-4, atol=1e-5)


def test_a_class_without_labels_is_never_predicted(digits: Data) -> None:
    without = digits.hide(np.flatnonzero((digits.take("label") == 3) & (digits.part[digits.rows] == 0)))
    model = NearestCentroid().fit(without)
    assert 3 not in model.predict(digits.test)
    assert np.isfinite(model.outputs(digits.test)).all()


@pytest.mark.parametrize("kind", ["sentences", "tones"])
def test_raw_text_and_sound_are_told_apart(kind: str, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(kind)
    assert NearestCentroid().fit(data).evaluate(data.test)["accuracy"] > 0.8
