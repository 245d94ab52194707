"""Comparisons of what is learned without labels: scores by hand, hidden labels, and maps of rows."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.neighbors import KNeighborsClassifier

import manyways as mw
from manyways.comparison.layouts import in_space, scatter_of
from manyways.comparison.results import Comparison
from manyways.comparison.tasks import find_task
from manyways.data.data import Data


@pytest.fixture(scope="module")
def some() -> Data:
    """300 digits, a third of them for testing."""
    return mw.read("digits").select(np.arange(300)).with_test(1 / 3)


def _compare(data: Any, *methods: str, **options: Any) -> Comparison:
    return mw.compare(data, methods=list(methods), budget="20 steps", workers=0, **{"seeds": 1, **options})


def test_clusters_are_ranked_by_hidden_classes(some: Data) -> None:
    found = _compare(some, "kmeans(clusters=10)", "gaussian-mixture(components=2)", metric="nmi")
    best, other = found.ranked()
    assert (best.name, other.name) == ("kmeans(clusters=10)", "gaussian-mixture(components=2)")
    hidden = some.hide(np.arange(len(some)))
    clusters = mw.KMeans(clusters=10).fit(hidden).predict(some.test)
    truth = some.test.take("label")
    assert best.score == pytest.approx(normalized_mutual_info_score(truth, clusters))
    assert best.metrics["ari"] == pytest.approx(adjusted_rand_score(truth, clusters))
    assert best.metrics["silhouette"] == pytest.approx(silhouette_score(in_space(some, some.test), clusters))
    assert best.metrics["clusters"] == 10
    assert found.data.learned_from == "200 rows without labels"
    assert found.data.labels_shown == 0
    scatter = best.exhibits[0].scatter
    assert scatter is not None
    assert [int(scatter.groups[at]) for at in scatter.group] == clusters.tolist()
    assert [item.caption for item in scatter.items] == list(map(str, truth))


def test_labels_are_hidden_from_methods_that_would_learn_from_them(some: Data) -> None:
    """Of labelled rows k-means would name its clusters by classes, and be scored by supervision."""
    found = _compare(some, "kmeans(clusters=10)", "supervised", metric="ari")
    failed = next(entry for entry in found.entries if entry.name == "supervised")
    assert failed.error is not None
    assert "label" in failed.error


def test_a_table_without_labels_is_clustered() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[-6.0, 0], [6, 0], [0, 9]])[np.arange(150) % 3]
    rows = centres + rng.normal(0, 1, (150, 2))
    found = _compare(mw.read({"x": rows[:, 0], "y": rows[:, 1]}, label=()), "kmeans", "gaussian-mixture", seeds=2)
    assert found.metric == "silhouette"
    assert {entry.name for entry in found.entries} == {"kmeans", "gaussian-mixture"}
    assert all(entry.metrics["clusters"] == 3 and (entry.score or 0) > 0.6 for entry in found.entries)


def test_where_nothing_is_named_the_unlabelled_ways_are_tried(some: Data) -> None:
    from manyways.comparison.shortlist import shortlist

    hidden = some.hide(np.arange(len(some)))

    def tried(task: str) -> set[str]:
        return set(map(str, shortlist(hidden, find_task(task)).methods))

    assert {"kmeans", "gaussian-mixture"} <= tried("clustering")
    assert {"pca", "gaussian-mixture", "vae"} <= tried("density")
    assert {"pca", "autoencoder", "vae"} <= tried("reconstruction")
    assert {"pca", "tsne"} <= tried("layout")
    assert {"pca", "autoencoder"} <= tried("representation")


def test_densities_are_in_one_unit_and_have_a_criterion(some: Data) -> None:
    found = _compare(some, "pca(width=10)", "gaussian-mixture(components=1, dimensions=10)", metric="log_likelihood")
    pca, mixture = sorted(found.entries, key=lambda entry: entry.name, reverse=True)
    model = mw.PCA(width=10).fit(some)
    assert pca.score == pytest.approx(model.log_likelihood(some.test).mean())
    count, parameters = len(some.training), 64 + 640 - 55 + 10 + 1
    by_hand = parameters * np.log(count) - 2 * model.log_likelihood(some.training).sum()
    assert pca.metrics["bic"] == pytest.approx(by_hand, rel=1e-6)
    # One Gaussian over the same components is the same model, up to what is added to its variances.
    assert mixture.score == pytest.approx(pca.score, abs=1)
    assert pca.low is not None
    assert pca.low < (pca.score or 0)


def test_reconstructions_are_scored_alike_whatever_made_them(some: Data) -> None:
    found = _compare(some, "pca(width=8)", "vae(latent=8, batch_size=16)", metric="explained_variance")
    pca, vae = found.ranked()
    again = mw.PCA(width=8).fit(some).reconstruct(some.test).take("image") / 255
    pixels, mean = some.test.take("image") / 255, (some.training.take("image") / 255).mean(0)
    assert pca.score == pytest.approx(1 - ((pixels - again) ** 2).sum() / ((pixels - mean) ** 2).sum())
    assert pca.metrics["dimensions"] == vae.metrics["dimensions"] == 8
    assert vae.name.startswith("vae")


def test_features_are_scored_by_their_neighbours(some: Data) -> None:
    found = _compare(some, "pca(width=2)", "pca(width=30)", metric="knn_accuracy")
    best = found.ranked()[0]
    model = mw.PCA(width=30).fit(some)
    neighbours = KNeighborsClassifier(20, metric="cosine").fit(model.embed(some.training), some.training.take("label"))
    assert best.name == "pca(width=30)"
    assert best.score == pytest.approx(neighbours.score(model.embed(some.test), some.test.take("label")))


def test_layouts_are_scored_and_shown(some: Data) -> None:
    pytest.importorskip("openTSNE", reason="layouts need pip install 'manyways[layout]'")
    found = _compare(some, "pca", "tsne(iterations=150, early_iterations=100)", metric="trustworthiness")
    best, plain = found.ranked()
    assert best.name.startswith("tsne")
    assert best.metrics["knn_accuracy_in_2d"] > plain.metrics["knn_accuracy_in_2d"]
    (exhibit,) = best.exhibits
    scatter = exhibit.scatter
    assert scatter is not None
    assert scatter.grouped_by == "label"
    assert [scatter.groups[at] for at in scatter.group] == [str(label) for label in some.test.take("label")]
    assert [item.kind for item in scatter.items] == ["image"] * len(some.test)


def test_rows_are_shown_small_and_the_rarest_groups_together() -> None:
    data = mw.read({"says": [f"word{at} " * 200 for at in range(40)]}, kinds={"says": "text"})
    groups = [at // 2 for at in range(40)]
    scatter = scatter_of(np.random.default_rng(0).normal(size=(40, 2)), groups, "cluster", data)
    assert len(scatter.groups) == 16
    assert scatter.groups[-1] == "others"
    assert scatter.group.count(15) == 10
    assert max(len(str(item.payload)) for item in scatter.items) <= 240
    assert (min(scatter.x), max(scatter.x)) == (0, 1) or (min(scatter.y), max(scatter.y)) == (0, 1)
    unknown = scatter_of(np.zeros((40, 2)), None, "", data)
    assert set(unknown.group) == {-1}
    assert set(unknown.x) == {0.5}
