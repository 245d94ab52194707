"""How like real rows drawn ones are: the distances against closed forms and another library, and their judge."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

import manyways as mw
from manyways.comparison.likeness import (
    WIDTH,
    Judge,
    frechet_distance,
    judge_of,
    precision_and_recall,
)
from manyways.data.data import Data
from manyways.methods.generative.vae import VAE


def test_the_distance_of_gaussians_that_do_not_mix_by_hand() -> None:
    """For diagonal covariances: Σ (μ₁ − μ₂)² + (σ₁ − σ₂)²."""
    rng = np.random.default_rng(0)
    standard = rng.normal(size=(500, 3))
    standard = (standard - standard.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(standard, rowvar=False))).T
    one = standard * [1.0, 2.0, 0.5] + [0.0, 1.0, -2.0]
    other = standard * [3.0, 2.0, 1.5] + [1.0, 1.0, 0.0]
    expected = (1 + 0 + 4) + (4 + 0 + 1)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_the_distance_is_that_of_the_matrix_square_root() -> None:
    rng = np.random.default_rng(1)
    one = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    other = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) + 0.3
    root = scipy.linalg.sqrtm(np.cov(one, rowvar=False) @ np.cov(other, rowvar=False)).real
    traces = np.trace(np.cov(one, rowvar=False)) + np.trace(np.cov(other, rowvar=False)) - 2 * np.trace(root)
    expected = np.square(one.mean(0) - other.mean(0)).sum() + traces
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(other, one) == pytest.approx(expected, rel=1e-6)


def test_a_width_of_one_and_a_constant_are_no_exception() -> None:
    assert frechet_distance(np.zeros((9, 1)), np.ones((9, 1))) == pytest.approx(1)
    assert np.isfinite(frechet_distance(np.zeros((9, 4)), np.random.default_rng(0).normal(size=(30, 4))))


def test_precision_and_recall_by_hand() -> None:
    """Real rows at 0, 1, …, 9; drawn ones cover the lower half and add some far away."""
    real = np.arange(10.0)[:, None]
    drawn = np.array([0.1, 1.2, 2.1, 3.3, 100.0, 100.5, 200.0, 200.5])[:, None]
    precision, recall = precision_and_recall(real, drawn, neighbours=1)
    assert precision == pytest.approx(4 / 8)
    # Each drawn row reaches as far as its nearest neighbour among drawn rows, 3.3 by 1.2: all up to 4.5 is covered.
    assert recall == pytest.approx(5 / 10)
    assert precision_and_recall(real, real.copy()) == (1.0, 1.0)


@pytest.fixture(scope="module")
def digits() -> Data:
    return mw.read("digits").select(np.arange(600)).with_test(0.5)


def test_real_rows_are_nearer_than_noise(digits: Data, home: Path) -> None:
    """What the judge sees of real rows of the other half is near; noise is far, and pixels mixed up are in between."""
    judge = Judge.of(digits)
    images = digits.training.take("image")
    rng = np.random.default_rng(0)
    mixed = rng.permuted(images.reshape(len(images), -1), axis=0).reshape(images.shape)
    noise = rng.integers(0, 256, images.shape).astype(np.uint8)
    near, between, far = (
        frechet_distance(judge.real, judge.features(mw.read({"image": pixels}))) for pixels in (images, mixed, noise)
    )
    assert near < 0.2 * between < 0.2 * far
    assert judge.real.shape == (300, WIDTH)


def test_the_judge_is_trained_once_and_kept(digits: Data, home: Path) -> None:
    first = judge_of(digits)
    assert judge_of(digits) is first
    assert len(list((home / "judges").iterdir())) == 1
    again = Judge.of(digits)
    assert np.array_equal(first.real, again.real), "found where it was kept"
    assert len(list((home / "judges").iterdir())) == 1


def test_without_labels_it_learns_features_by_itself(digits: Data, home: Path) -> None:
    unlabelled = mw.read({"image": digits.take("image")}).with_test(0.5)
    judge = Judge.of(unlabelled)
    assert judge.network is not None
    assert judge.network.lineage.method["name"] == "simclr"
    assert Judge.of(digits).network.lineage.method["name"] == "supervised"  # type: ignore[union-attr]


def test_rows_of_a_table_are_compared_as_they_are(home: Path) -> None:
    wine = mw.read("wine").with_test(0.3)
    judge = Judge.of(wine)
    assert judge.network is None
    scores = judge.scores(VAE(latent=4).fit(wine, budget=100))
    assert set(scores) == {"frechet_distance", "sample_precision", "sample_recall"}
    assert 0 < scores["frechet_distance"] < 10
    assert not (home / "judges").exists()
