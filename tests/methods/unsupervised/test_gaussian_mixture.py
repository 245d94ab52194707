"""GaussianMixture: scikit-learn's mixture over principal components, as a density of whole rows."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA as Components
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture as Reference

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.unsupervised.gaussian_mixture import GaussianMixture


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1)


@pytest.mark.parametrize("covariance", ["full", "tied", "diag", "spherical"])
def test_clusters_and_densities_are_those_of_scikit_learn(digits: Data, covariance: str) -> None:
    model = GaussianMixture(components=6, covariance=covariance, dimensions=12).fit(digits, seed=3)
    axes = Components(12, random_state=3).fit(_pixels(digits.training))
    along = axes.transform(_pixels(digits.training).astype(np.float64))
    mixture = Reference(
        6, covariance_type=covariance, reg_covar=1e-3, init_params="kmeans", max_iter=200, random_state=3
    ).fit(along)
    test = axes.transform(_pixels(digits.test))
    assert (model.predict(digits.test) == mixture.predict(test)).mean() > 0.99
    assert model.responsibilities(digits.test) == pytest.approx(mixture.predict_proba(test), abs=0.02)
    rest = _pixels(digits.test) - axes.inverse_transform(test)
    outside = -0.5 * ((rest**2).sum(1) / axes.noise_variance_ + 52 * np.log(2 * np.pi * axes.noise_variance_))
    expected = mixture.score_samples(test) + outside - 64 * np.log(255)
    assert model.log_likelihood(digits.test) == pytest.approx(expected, abs=0.1)
    assert model.evaluate(digits.test)["log_likelihood"] == pytest.approx(expected.mean(), abs=0.02)


def test_one_component_over_all_directions_is_one_gaussian(wine: Data) -> None:
    model = GaussianMixture(components=1, regularisation=1e-9).fit(wine)
    columns = [column.name for column in wine.inputs]
    rows = np.column_stack([wine.training.take(name) for name in columns]).astype(float)
    mean, scale = rows.mean(0), rows.std(0)
    gaussian = multivariate_normal(np.zeros(len(mean)), np.cov(((rows - mean) / scale).T, ddof=0))
    test = (np.column_stack([wine.test.take(name) for name in columns]) - mean) / scale
    assert model.log_likelihood(wine.test) == pytest.approx(gaussian.logpdf(test), rel=1e-3)


def test_it_finds_overlapping_clusters_that_k_means_cuts() -> None:
    """Two long clusters side by side: centres alone divide them across."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 200)
    along, across = rng.normal(0, 3, 400), rng.normal(0, 0.3, 400) + 3 * truth
    data = mw.read({"x": along + across, "y": along - across}, label=())
    ours = GaussianMixture(components=2, start="k-means++", restarts=10).fit(data).predict(data)
    assert adjusted_rand_score(truth, ours) > 0.9
    assert adjusted_rand_score(truth, mw.KMeans(clusters=2).fit(data).predict(data)) < 0.9


def test_the_number_of_components_is_picked_by_the_criterion() -> None:
    rng = np.random.default_rng(1)
    centres = np.array([[-5, 0], [5, 0], [0, 8]])
    rows = centres[np.arange(300) % 3] + rng.normal(0, 1, (300, 2))
    model = GaussianMixture().fit(mw.read({"x": rows[:, 0], "y": rows[:, 1]}, label=()))
    assert model.lineage.facts["components"] == 3
    # Means of 3 Gaussians, their covariances and weights; the mean, one angle and the spread of the axes.
    assert model.lineage.facts["free_parameters"] == (6 + 9 + 2) + (2 + 4 - 3 + 2 + 1)


def test_labels_are_not_looked_at(digits: Data) -> None:
    hidden = digits.hide(np.arange(len(digits)))
    seen, blind = (
        GaussianMixture(components=4, dimensions=8).fit(data).predict(digits.test) for data in (digits, hidden)
    )
    assert np.array_equal(seen, blind)


def test_features_of_a_model_have_clusters_and_no_density(digits: Data) -> None:
    start = SimCLR(size=0.25, batch_size=16).fit(digits, budget=1)
    model = GaussianMixture(components=3).fit(digits, start)
    assert model.gives == {"cluster"}
    with pytest.raises(ModelError, match="cannot say how probable a row is"):
        model.log_likelihood(digits.test)
    with pytest.raises(ModelError, match="cannot say how probable a row is"):
        model.evaluate(digits.test)


def test_more_components_than_rows_are_refused(wine: Data) -> None:
    with pytest.raises(NeedsError, match=r"GaussianMixture\.components must be at most the \d+ training rows; got 500"):
        GaussianMixture(components=500).fit(wine)


def test_it_is_loaded_as_it_was_saved_and_damage_is_refused(wine: Data, tmp_path: Path) -> None:
    model = GaussianMixture(components=3).fit(wine)
    folder = model.save(tmp_path / "model")
    assert np.array_equal(mw.load(folder).log_likelihood(wine.test), model.log_likelihood(wine.test))
    described = folder / "model.json"
    saved = json.loads(described.read_text())
    saved["target"]["classes"] = [0, 1]
    described.write_text(json.dumps(saved))
    with pytest.raises(ModelError):
        mw.load(folder)
