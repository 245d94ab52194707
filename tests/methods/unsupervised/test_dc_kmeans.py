"""DCKMeans: clusters of clusters, nearly as good as k-means over all rows, and a leaf anew for a row that is gone."""

from unittest.mock import patch

import numpy as np
import pytest
from sklearn.cluster import KMeans as Lloyd
from sklearn.metrics import adjusted_rand_score

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.unsupervised import dc_kmeans
from manyways.methods.unsupervised.dc_kmeans import DCKMeans
from manyways.methods.unsupervised.kmeans import KMeans
from manyways.testing.trial import difference


def _without_labels(data: Data) -> Data:
    return data.hide(np.arange(len(data)))


def _inertia(data: Data, centres: np.ndarray) -> float:  # type: ignore[type-arg]
    pixels = (data.take("image") / np.float32(255)).reshape(len(data), -1)
    return float(((pixels[:, None] - centres) ** 2).sum(2).min(1).mean())


def _some(data: Data, count: int) -> np.ndarray:  # type: ignore[type-arg]
    mask = np.zeros(len(data), bool)
    mask[np.flatnonzero(data.part[data.rows] == 0)[7 : 7 + count]] = True
    return mask


def test_centres_are_nearly_as_good_as_those_of_all_rows(digits: Data) -> None:
    model = DCKMeans(clusters=10, leaves=8).fit(_without_labels(digits))
    pixels = (digits.training.take("image") / np.float32(255)).reshape(len(digits.training), -1)
    best = Lloyd(10, n_init=3, random_state=0).fit(pixels).cluster_centers_
    centres = model.network.head.centres.numpy()  # type: ignore[union-attr]
    assert _inertia(digits.training, centres) < 1.1 * _inertia(digits.training, best)
    assert model.gives == {"cluster"}


def test_one_leaf_is_k_means_of_all_rows(digits: Data) -> None:
    model = DCKMeans(clusters=10, leaves=1, restarts=5).fit(_without_labels(digits))
    pixels = (digits.training.take("image") / np.float32(255)).reshape(len(digits.training), -1)
    reference = Lloyd(10, n_init=5, random_state=0).fit(pixels).cluster_centers_
    centres = model.network.head.centres.numpy()  # type: ignore[union-attr]
    assert _inertia(digits.training, centres) == pytest.approx(_inertia(digits.training, reference), rel=0.02)


def test_clusters_of_a_table_match_its_classes_whatever_their_units(wine: Data) -> None:
    model = DCKMeans(clusters=2, leaves=4).fit(_without_labels(wine))
    reference = KMeans(clusters=2).fit(_without_labels(wine))
    assert adjusted_rand_score(reference.predict(wine.test), model.predict(wine.test)) > 0.7


def test_labels_name_the_centres(digits: Data) -> None:
    few = digits.with_labels(60, draw="stratified")
    model = DCKMeans(leaves=4).fit(few)
    assert model.gives == {"cluster", "classify"}
    assert model.evaluate(digits.test)["accuracy"] > 0.65


def test_only_the_leaf_of_a_forgotten_row_is_clustered_anew(digits: Data) -> None:
    method = DCKMeans(clusters=10)
    model, gone = method.fit(digits), _some(digits, 1)
    with patch.object(dc_kmeans, "_kmeans", wraps=dc_kmeans._kmeans) as clustered:
        forgot = method.forget(model, digits, gone)
    assert clustered.call_count == 2, "the row's leaf and the centres"
    sizes = [len(call.args[0]) for call in clustered.call_args_list]
    assert sizes[0] < len(digits.training) / 8
    assert difference(method.fit(digits.select(~gone)), forgot) is None


def test_forgets_over_the_features_of_a_model(digits: Data) -> None:
    start = SimCLR(batch_size=32).fit(digits.select(np.arange(len(digits)) % 2 == 1), budget=3)
    rows = digits.select(np.arange(len(digits)) % 2 == 0)
    method, gone = DCKMeans(clusters=10, leaves=4), _some(rows, 5)
    assert difference(method.fit(rows.select(~gone), start), method.forget(method.fit(rows, start), rows, gone)) is None


def test_plain_k_means_says_why_it_cannot(digits: Data) -> None:
    with pytest.raises(NeedsError, match="without a row others may fall to other centres, in every round"):
        KMeans().forget(KMeans(clusters=5).fit(digits), digits, _some(digits, 1))
