"""PCA: scikit-learn's components, what they leave out, their density, and rows put together again."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA as Reference

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError
from manyways.methods.generative.vae import VAE
from manyways.methods.unsupervised.pca import PCA


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1)


def test_components_variance_and_density_are_those_of_scikit_learn(digits: Data) -> None:
    model = PCA(width=20).fit(digits)
    reference = Reference(20).fit(_pixels(digits.training))
    test = _pixels(digits.test)
    assert np.abs(model.embed(digits.test)) == pytest.approx(np.abs(reference.transform(test)), abs=1e-5)
    assert model.lineage.facts["explained_variance"] == pytest.approx(reference.explained_variance_ratio_.sum())
    grey = 64 * np.log(255)
    assert model.log_likelihood(digits.test) == pytest.approx(reference.score_samples(test) - grey, abs=1e-2)
    scores = model.evaluate(digits.test)
    again = reference.inverse_transform(reference.transform(test))
    assert scores["reconstruction_error"] == pytest.approx(((test - again) ** 2).mean(), rel=1e-4)
    about = ((test - reference.mean_) ** 2).mean()
    assert scores["explained_variance"] == pytest.approx(1 - ((test - again) ** 2).mean() / about, rel=1e-4)
    assert scores["dimensions"] == 20


def test_rows_contribute_what_their_scores_are_made_of(digits: Data) -> None:
    model = PCA(width=10).fit(digits)
    for metric in ("explained_variance", "reconstruction_error", "log_likelihood"):
        found = model.evaluate_rows(digits.test, metric)
        assert found.rows is not None
        assert found.rows.mean() == pytest.approx(found.scores[metric])


def test_rows_are_put_together_again(digits: Data, wine: Data) -> None:
    """With all components nothing is lost; with few of them what is lost is what the score says."""
    whole = PCA(width=64).fit(digits).reconstruct(digits.test)
    assert np.abs(whole.take("image").astype(int) - digits.test.take("image")).max() <= 1
    few = PCA(width=8).fit(digits)
    lost = ((_pixels(few.reconstruct(digits.test)) - _pixels(digits.test)) ** 2).mean()
    # Pixels are cut to what there is, which is never further off.
    assert 0.8 * few.evaluate(digits.test)["reconstruction_error"] < lost
    assert lost < 1.001 * few.evaluate(digits.test)["reconstruction_error"]
    table = PCA(width=13).fit(wine).reconstruct(wine.test)
    inside = [np.clip(wine.test.take(name), *_ends(wine, name)) for name in ("alcohol", "proline")]
    assert table.take("alcohol") == pytest.approx(inside[0], abs=1e-3)
    assert table.take("proline") == pytest.approx(inside[1], abs=1)


def _ends(data: Data, name: str) -> tuple[float, float]:
    values = data.training.take(name)
    return values.min(), values.max()


def test_categories_have_no_density_and_texts_are_not_put_together() -> None:
    table = {"x": np.arange(20.0), "kind": ["a", "b"] * 10}
    assert PCA(width=2).fit(table).gives == {"embed", "layout", "reconstruct"}
    texts = PCA(width=3).fit({"says": [f"word{at} and word{at % 3}" for at in range(20)]})
    assert texts.gives == {"embed", "layout"}
    with pytest.raises(ModelError, match="cannot put rows together again"):
        texts.reconstruct({"says": ["word1"]})
    with pytest.raises(ModelError, match="cannot say how probable a row is"):
        texts.log_likelihood({"says": ["word1"]})


def test_no_more_components_than_rows_or_features(wine: Data) -> None:
    assert PCA(width=500).fit(wine).embed(wine.test).shape == (len(wine.test), 13)
    few = wine.select(np.arange(4))
    assert PCA().fit(few).embed(wine.test).shape == (len(wine.test), len(few.training))
    assert PCA(width=1).fit(wine).layout(wine.test)[:, 1].tolist() == [0] * len(wine.test)


def test_one_row_and_equal_rows_have_a_centre_alone(wine: Data) -> None:
    for some in (wine.select([0]), wine.select([0, 0, 0])):
        model = PCA(width=2).fit(some)
        assert np.isfinite(model.embed(wine.test)).all()
        assert np.isfinite(model.log_likelihood(wine.test)).all()


def test_components_of_the_features_of_a_model(digits: Data) -> None:
    """What it starts from may have a projection, as an encoder does; the components are of what comes out of it."""
    start = VAE(latent=16, batch_size=32).fit(digits, budget=2)
    model = PCA(width=4).fit(digits, start)
    reference = Reference(4).fit(start.as_predictor().embed(digits.training))
    seen = start.as_predictor().embed(digits.test)
    assert np.abs(model.embed(digits.test)) == pytest.approx(np.abs(reference.transform(seen)), abs=1e-4)
    again = reference.inverse_transform(reference.transform(seen))
    assert model.evaluate(digits.test)["reconstruction_error"] == pytest.approx(((seen - again) ** 2).mean(), rel=1e-3)
    assert model.gives == {"embed", "layout"}


def test_its_features_are_a_start(digits: Data) -> None:
    chain = PCA(width=30) >> mw.LinearProbe()
    assert chain.fit(digits, budget=20).evaluate(digits.test)["accuracy"] > 0.85


def test_it_is_loaded_as_it_was_saved_and_damage_is_refused(digits: Data, tmp_path: Path) -> None:
    model = PCA(width=6).fit(digits)
    folder = model.save(tmp_path / "model")
    again = mw.load(folder)
    assert again.gives == model.gives
    assert np.array_equal(again.log_likelihood(digits.test), model.log_likelihood(digits.test))
    assert np.array_equal(again.reconstruct(digits.test).take("image"), model.reconstruct(digits.test).take("image"))
    described = folder / "model.json"
    saved = json.loads(described.read_text())
    saved["network"]["head"] = None
    described.write_text(json.dumps(saved))
    with pytest.raises(ModelError):
        mw.load(folder)
