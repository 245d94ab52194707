"""KMeans: scikit-learn's clusters, the nearest centre for new rows, and labels that only name the centres."""

import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference
from sklearn.metrics import adjusted_rand_score

from manyways.data.data import Data
from manyways.errors import DataError, NeedsError
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.unsupervised.kmeans import KMeans


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1)


def _without_labels(data: Data) -> Data:
    return data.hide(np.arange(len(data)))


def test_clusters_are_those_of_scikit_learn(digits: Data) -> None:
    model = KMeans(clusters=10, restarts=3).fit(_without_labels(digits), seed=5)
    reference = Reference(10, n_init=3, random_state=5).fit(_pixels(digits.training))
    assert np.array_equal(model.predict(digits.training), reference.labels_)
    assert np.array_equal(model.predict(digits.test), reference.predict(_pixels(digits.test)))
    assert model.gives == {"cluster"}


def test_clusters_of_a_table_match_its_classes(wine: Data) -> None:
    """Wine's 13 numbers fall into three groups that are nearly its three classes (known: about 0.9)."""
    model = KMeans(clusters=3).fit(_without_labels(wine))
    assert adjusted_rand_score(wine.test.take("label"), model.predict(wine.test)) > 0.7


def test_silhouette_picks_three_clusters_of_wine(wine: Data) -> None:
    assert len(set(KMeans().fit(_without_labels(wine)).predict(wine.training))) == 3


def test_labels_name_the_centres(digits: Data) -> None:
    """40 labels name 40 clusters of all rows, which is far better than nearest neighbours to 40 rows would be."""
    few = digits.with_labels(40, draw="stratified")
    model = KMeans().fit(few)
    assert model.gives == {"cluster", "classify"}
    assert set(model.predict(digits.test)) <= set(range(10))
    assert model.evaluate(digits.test)["accuracy"] > 0.7


def test_unlabelled_rows_shape_the_centres(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    alone = few.select(np.flatnonzero(few.labelled | (few.part[few.rows] == 2)))
    with_all, without = (KMeans(clusters=20).fit(data).evaluate(digits.test)["accuracy"] for data in (few, alone))
    assert with_all > without


def test_centres_without_a_label_take_that_of_the_nearest(digits: Data) -> None:
    few = digits.with_labels(12, draw="stratified")
    model = KMeans(clusters=60).fit(few)
    probabilities = np.unique(model.probabilities(few.training).round(4), axis=0)
    assert probabilities.max(1).min() > 0.3, "a centre has no opinion although others have labels"


def test_works_on_the_features_of_a_model(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    start = SimCLR(batch_size=32).fit(few, budget=3)
    model = KMeans(clusters=10).fit(_without_labels(few), start)
    reference = Reference(10, n_init=10, random_state=0).fit(start.embed(few.training))
    assert np.array_equal(model.predict(few.training), reference.labels_)


def test_more_clusters_than_rows_are_refused(digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"KMeans\.clusters must be at most the \d+ training rows; got 5000"):
        KMeans(clusters=5000).fit(digits)


def test_numbers_of_clusters_have_no_score(diabetes: Data) -> None:
    """Clusters of rows whose label is a number predict clusters, not that number, and say so when scored."""
    model = KMeans(clusters=4).fit(diabetes)
    assert set(model.predict(diabetes.test)) <= {0, 1, 2, 3}
    with pytest.raises(DataError, match="predicts 'cluster', and diabetes has no column of that name"):
        model.evaluate(diabetes.test)
