"""Autoencoder: its error by hand, masks, what it puts together in which units, and that its code is a start."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError, ParameterError
from manyways.methods.unsupervised.autoencoder import Autoencoder
from manyways.models.model import Model
from manyways.randomness import generator

SMALL = {"width": 16, "backbone": "flat-perceptron", "decoder": "perceptron", "size": 0.5}


@pytest.fixture(scope="module")
def model(digits: Data) -> Model:
    return Autoencoder(**SMALL).fit(digits, budget=250)  # type: ignore[arg-type]


def test_its_loss_is_the_mean_squared_error_of_pixels(digits: Data) -> None:
    method = Autoencoder(batch_size=8, width=4, size=0.25)
    learner = method.begin(digits, None, 0)
    learner.eval()
    batch = method.draw(learner, 2, generator(0))
    loss, _ = method.loss(learner, batch)
    again = learner.network.decoder(learner.network.encoder.features(batch["inputs"]))
    pixels = batch["inputs"]["image"].float() / 255
    assert loss.item() == pytest.approx(((again - pixels) ** 2).mean().item(), rel=1e-6)


def test_masked_pixels_are_hidden_from_the_encoder_alone(digits: Data) -> None:
    plain, masking = Autoencoder(batch_size=32), Autoencoder(batch_size=32, masked=0.5)
    learner = plain.begin(digits, None, 0)
    whole, masked = (method.draw(learner, 1, generator(5)) for method in (plain, masking))
    seen, all_of_it = masked["inputs"]["image"], whole["inputs"]["image"]
    kept = (seen == all_of_it) | (seen == 0)
    assert bool(kept.all())
    assert (seen[all_of_it > 0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert torch.equal(masked["values"], all_of_it.float() / 255)


def test_it_learns_to_put_together_what_it_does_not_see(digits: Data) -> None:
    """A denoising autoencoder restores rows of which a third is hidden better than a plain one does."""
    test = digits.test
    hidden = test.take("image").copy()
    hidden[np.random.default_rng(0).random(hidden.shape) < 0.4] = 0
    broken = mw.read({"image": hidden}, label=())
    errors = {}
    for masked in (0.0, 0.4):
        model = Autoencoder(masked=masked, **SMALL).fit(digits, budget=250)  # type: ignore[arg-type]
        again = model.reconstruct(broken).take("image").astype(float)
        errors[masked] = ((again - test.take("image")) ** 2).mean()
    assert errors[0.4] < 0.8 * errors[0.0]


def test_scores_are_those_of_what_it_puts_together(digits: Data, model: Model) -> None:
    again = model.reconstruct(digits.test).take("image") / 255
    pixels = digits.test.take("image") / 255
    scores = model.evaluate(digits.test)
    lost = ((again - pixels) ** 2).mean()
    assert scores["reconstruction_error"] == pytest.approx(lost, rel=0.15)  # pixels are rounded and cut
    about = ((pixels - (digits.training.take("image") / 255).mean(0)) ** 2).mean()
    assert scores["explained_variance"] == pytest.approx(1 - lost / about, abs=0.05)
    assert scores["explained_variance"] > 0.6
    assert scores["dimensions"] == 16
    rows = model.evaluate_rows(digits.test, "explained_variance").rows
    assert rows is not None
    assert rows.mean() == pytest.approx(scores["explained_variance"])


def test_tables_are_put_together_in_their_own_units() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(100, 20, 400)
    data = mw.read({"x": x, "twice": 2 * x, "kind": np.where(x > 100, "high", "low")}, label=())
    model = Autoencoder(width=2).fit(data, budget=250)
    again = model.reconstruct(data)
    assert np.corrcoef(again.take("x"), x)[0, 1] > 0.97
    assert np.corrcoef(again.take("twice"), 2 * x)[0, 1] > 0.97
    assert (again.take("kind") == data.take("kind")).mean() > 0.9


def test_its_code_is_a_start_and_it_goes_on(digits: Data, model: Model) -> None:
    assert model.embed(digits.test).shape == (len(digits.test), 16)
    probe = mw.LinearProbe().fit(digits, model)
    assert probe.evaluate(digits.test)["accuracy"] > 0.8
    before = model.evaluate(digits.test)["reconstruction_error"]
    further = Autoencoder(**SMALL).fit(digits, model, budget=100)  # type: ignore[arg-type]
    assert further.evaluate(digits.test)["reconstruction_error"] < before
    other = mw.PCA(width=2).fit(digits)
    with pytest.raises(ParameterError, match="goes on from an autoencoder; pca"):
        Autoencoder().fit(digits, other, budget=1)


def test_texts_are_refused() -> None:
    with pytest.raises(NeedsError, match="images or rows of a table"):
        Autoencoder().fit(mw.read({"says": ["one two", "three four"]}, kinds={"says": "text"}), budget=1)


def test_it_is_loaded_as_it_was_saved_and_damage_is_refused(digits: Data, model: Model, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    again = mw.load(folder)
    assert np.array_equal(again.embed(digits.test), model.embed(digits.test))
    assert again.evaluate(digits.test) == model.evaluate(digits.test)
    described = folder / "model.json"
    saved = json.loads(described.read_text())
    saved["network"]["numbers"] = 10**9
    described.write_text(json.dumps(saved))
    with pytest.raises(ModelError):
        mw.load(folder)
