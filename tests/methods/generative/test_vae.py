"""VAE: its loss by hand, what it draws and in which units, that it chains, and what it refuses."""

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.ablations import with_column
from manyways.methods.generative.vae import VAE
from manyways.methods.transfer.fine_tune import FineTune
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.generative.decoders import ConvolutionalDecoder, make_decoder
from manyways.models.generative.likelihoods import Bernoulli, DiscretisedLogistic
from manyways.models.variational_autoencoder import VariationalAutoencoder, terms
from manyways.randomness import generator
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer


@pytest.fixture(scope="module")
def drawings(digits: Data) -> Data:
    """Digits in black and white."""
    black_and_white = np.where(digits.columns["image"].values[:] > 127, 255, 0).astype(np.uint8)
    return with_column(digits, Column("image", "image", black_and_white))


@pytest.fixture(scope="module")
def painter(drawings: Data) -> VariationalAutoencoder:
    """A VAE of them."""
    model = VAE().fit(drawings, budget=400)
    assert isinstance(model, VariationalAutoencoder)
    return model


def test_the_loss_is_the_bound_in_nats_a_dimension(digits: Data) -> None:
    method = VAE(batch_size=16, warm_up=0.0, beta=2.0, likelihood="bernoulli")
    learner = method.begin(digits, None, 0)
    learner.eval()
    batch = method.draw(learner, 3, generator(0))
    loss, parts = method.loss(learner, batch)
    found = terms(learner.network, batch["values"], batch["inputs"], batch["noise"])
    by_hand = -(found.reconstruction.mean() - 2.0 * found.divergence.mean()) / 64
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-6)
    assert parts["nats"].item() == pytest.approx((found.divergence.mean() - found.reconstruction.mean()).item())


def test_several_draws_train_on_the_importance_weighted_bound(digits: Data) -> None:
    method = VAE(batch_size=8, samples=5, warm_up=0.0, likelihood="bernoulli")
    learner = method.begin(digits, None, 0)
    learner.eval()
    batch = method.draw(learner, 3, generator(0))
    assert batch["noise"].shape == (8, 5, 32)
    found = terms(learner.network, batch["values"], batch["inputs"], batch["noise"])
    by_hand = -((found.reconstruction + found.prior).logsumexp(1) - log(5)).mean() / 64
    assert method.loss(learner, batch)[0].item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_the_weight_of_the_divergence_rises(digits: Data) -> None:
    method = VAE(beta=0.5, warm_up=0.2)
    learner = method.begin(digits, None, 0)
    learner.steps = 100
    weights = [method.draw(learner, step, generator(0))["weight"] for step in (0, 10, 20, 99)]
    assert weights == pytest.approx([0, 0.25, 0.5, 0.5])


def test_grey_pixels_are_black_or_white_by_chance_anew_in_every_step(digits: Data) -> None:
    method = VAE(likelihood="bernoulli", batch_size=len(digits.training))
    learner = method.begin(digits, None, 0)
    whole = [method.draw(learner, step, generator(step))["values"] for step in range(2)]
    assert set(np.unique(whole[0].numpy())) == {0.0, 1.0}
    assert not torch.equal(whole[0], whole[1])
    bright = digits.training.take("image").mean() / 255
    assert float(whole[0].mean()) == pytest.approx(bright, abs=0.01)


def test_the_likelihood_follows_from_the_pixels(digits: Data) -> None:
    black_and_white = mw.read({"image": np.where(digits.take("image") > 100, 255, 0).astype(np.uint8)})
    assert isinstance(VAE().begin(black_and_white, None, 0).network.likelihood, Bernoulli)
    assert isinstance(VAE().begin(digits, None, 0).network.likelihood, DiscretisedLogistic)


def test_it_learns_how_probable_digits_are(drawings: Data, painter: VariationalAutoencoder) -> None:
    """Far better than pixels by themselves, each at the frequency that it has over all rows."""
    pixels = drawings.training.take("image") / 255
    bright = pixels.mean(0).clip(1e-3, 1 - 1e-3)
    test = drawings.test.take("image") / 255
    alone = -(test * np.log(bright) + (1 - test) * np.log(1 - bright)).sum((1, 2, 3)).mean()
    scores = painter.evaluate(drawings.test)
    assert scores["nats_per_row"] < 0.85 * alone, (scores, alone)
    assert scores["bits_per_dimension"] == pytest.approx(scores["nats_per_row"] / (64 * log(2)))


def test_noise_is_less_probable_than_digits(drawings: Data, painter: VariationalAutoencoder) -> None:
    noise = 255 * np.random.default_rng(0).integers(0, 2, (50, 1, 8, 8)).astype(np.uint8)
    of_noise = painter.log_likelihood({"image": noise}, samples=16)
    assert of_noise.max() < painter.log_likelihood(drawings.test, samples=16).mean() - 10


def test_pictures_are_drawn_as_the_data_has_them(painter: VariationalAutoencoder) -> None:
    drawn = painter.sample(30, seed=1)
    assert drawn.take("image").shape == (30, 1, 8, 8)
    assert drawn.take("image").dtype == np.uint8
    assert [column.name for column in drawn.inputs] == ["image"]
    assert drawn.take("image").astype(float).std(0).mean() > 20, "they differ from one another"
    noisy = painter.sample(30, seed=1, noise=True).take("image")
    assert set(np.unique(noisy)) == {0, 255}


def test_a_classifier_knows_drawn_digits(drawings: Data, painter: VariationalAutoencoder) -> None:
    """One that saw real digits alone takes them for all ten, many of them surely."""
    classifier = mw.Supervised().fit(drawings, budget=300)
    shares = classifier.probabilities(painter.sample(500, seed=0, noise=True))
    found = np.bincount(shares.argmax(1), minlength=10) / 500
    assert found.min() > 0.01, found
    assert (shares.max(1) > 0.9).mean() > 0.4


def test_rows_are_put_together_again(drawings: Data, painter: VariationalAutoencoder) -> None:
    again = painter.reconstruct(drawings.test).take("image") / 255
    rows = drawings.test.take("image") / 255
    mean = drawings.training.take("image").mean(0) / 255
    assert ((again - rows) ** 2).mean() < 0.5 * ((mean - rows) ** 2).mean()


def test_what_was_encoded_is_a_start(drawings: Data, painter: VariationalAutoencoder) -> None:
    """Through the mean of the latent numbers, which are its features; few labels are enough on top."""
    few = drawings.with_labels(100, draw="stratified")
    assert painter.embed(few).shape == (len(few), 32)
    probe = LinearProbe().fit(few, painter)
    assert probe.evaluate(drawings.test)["accuracy"] > 0.75
    tuned = FineTune().fit(few, painter, budget=60)
    assert tuned.evaluate(drawings.test)["accuracy"] > 0.65
    assert [stage.title for stage in tuned.lineage.stages()] == ["fine-tune", "vae"]
    chain = (VAE() >> LinearProbe()).fit(few, budget=30)
    assert chain.gives == frozenset({"classify", "embed"})


def test_it_goes_on_from_itself(drawings: Data, painter: VariationalAutoencoder) -> None:
    before = painter.evaluate(drawings.test)["nats_per_row"]
    after = VAE(learning_rate=1e-3, warm_up=0.0).fit(drawings, painter, budget=100)
    assert after.evaluate(drawings.test)["nats_per_row"] < before + 0.2
    assert len(after.lineage.stages()) == 2


def test_rows_of_a_table_come_in_its_own_units() -> None:
    """Whole numbers whole, categories as they are called, nothing beyond what was seen, constants constant."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 800)
    columns = {
        "age": (20 + 10 * kind + rng.integers(0, 8, 800)).astype(np.int64),
        "height": 150 + 20 * kind + rng.normal(0, 2, 800),
        "sort": np.array(["cat", "dog"], object)[kind],
        "same": np.full(800, 7.5),
    }
    data = mw.read(columns, input=list(columns))
    drawn = VAE(latent=4).fit(data, budget=300).sample(400, seed=0)
    assert drawn.take("age").dtype == np.int64
    assert drawn.take("age").min() >= 20
    assert drawn.take("age").max() <= 37
    assert set(drawn.take("sort").tolist()) == {"cat", "dog"}
    assert (drawn.take("same") == 7.5).all()
    dogs = drawn.take("sort") == "dog"
    assert 0.3 < dogs.mean() < 0.7
    assert drawn.take("height")[dogs].mean() == pytest.approx(170, abs=5)
    assert drawn.take("height")[~dogs].mean() == pytest.approx(150, abs=5)


def test_constant_pixels_are_learned_like_others() -> None:
    """An image that never changes is certain, and drawn as it is."""
    still = np.zeros((60, 1, 9, 12), np.uint8)
    still[:, :, 3:6] = 200
    model = VAE().fit({"image": still}, budget=60)
    scores = model.evaluate({"image": still})
    assert np.isfinite(list(scores.values())).all()
    assert np.abs(model.sample(5).take("image").astype(int) - still[:5]).max() < 60


@pytest.mark.parametrize(("height", "width"), [(8, 8), (1, 5), (28, 28), (31, 20), (72, 40)])
@pytest.mark.parametrize("architecture", ["convolutional", "perceptron"])
def test_decoders_have_the_size_of_the_images(height: int, width: int, architecture: str) -> None:
    from manyways.data.specs import ImageSpec

    decoder = make_decoder(ImageSpec(3, height, width), 6, 2, architecture=architecture)
    assert decoder(torch.zeros(4, 6)).shape == (4, 6, height, width)
    assert isinstance(decoder, ConvolutionalDecoder) == (architecture == "convolutional")


def test_images_of_several_sizes_are_drawn_in_one(tmp_path: Path) -> None:
    """A folder of pictures of other sizes is read in one of them; those asked later are brought to it."""
    from PIL import Image

    for at in range(24):
        side = 12 if at % 4 else 20
        Image.fromarray(np.full((side, side), 10 * at, np.uint8)).save(tmp_path / f"{at}.png")
    data = mw.read(tmp_path, label=())
    assert [column.name for column in data.inputs] == ["image"]
    model = VAE().fit(data, budget=4)
    (name,) = [column.name for column in data.inputs if column.kind == "image"]
    assert model.sample(3).take(name).shape == (3, 1, 12, 12)
    large = {name: np.zeros((2, 1, 20, 20), np.uint8)}
    assert model.reconstruct(large).take(name).shape == (2, 1, 12, 12)
    assert np.isfinite(model.log_likelihood(large)).all()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"a": [0.5, 1.5], "says": ["one two three", "four five six"]}, "'says' is text. Leave it out"),
        ({"x": np.zeros((4, 1, 8, 8), np.uint8), "y": np.zeros((4, 1, 8, 8), np.uint8)}, "inputs are 'x', 'y'. Name"),
        ({"x": np.zeros((4, 1, 8, 8), np.uint8), "n": [0.5, 1.5, 2.5, 3.5]}, "inputs are 'x', 'n'. Name those of one"),
    ],
)
def test_inputs_of_several_kinds_are_refused_by_name(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(NeedsError, match=message):
        VAE().fit(mw.read(inputs), budget=1)


def test_early_stopping_looks_at_few_rows(digits: Data) -> None:
    learner = VAE().begin(digits.with_validation(0.4), None, 0)
    assert learner.validation is not None
    assert len(learner.validation) == 256
    stopped = VAE(patience=1, learning_rate=1e-9).fit(digits.with_validation(0.2), budget=60)
    assert stopped.lineage.steps < 60


def test_the_gradient_of_the_encoder_comes_through_the_draw(digits: Data) -> None:
    """Reparameterised: a step moves the encoder and the decoder alike."""
    method = VAE(batch_size=8)
    learner = method.begin(digits, None, 0)
    before = {name: p.detach().clone() for name, p in learner.network.named_parameters()}
    take_step(method, learner, make_optimizer(method, learner), 10, 100, 0)
    still = [name for name, p in learner.network.named_parameters() if torch.equal(p, before[name])]
    assert still == []


def test_another_beta_trades_the_divergence_for_the_likelihood(digits: Data) -> None:
    found = {}
    for beta in (0.2, 5.0):
        model = replace(VAE(likelihood="bernoulli"), beta=beta).fit(digits, budget=150)
        assert isinstance(model, VariationalAutoencoder)
        rows = model.inputs.encode(digits.test).batch(np.arange(100))
        with torch.inference_mode():
            mean, log_variance = model.network.posterior(rows)
        found[beta] = float(0.5 * (mean**2 + log_variance.exp() - log_variance - 1).sum(1).mean())
    assert found[5.0] < 0.5 * found[0.2]
