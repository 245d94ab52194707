"""GAN: its losses by hand, two players in one loop, what it draws, and how a lost game ends."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import manyways as mw
from manyways.data.data import Data
from manyways.errors import ModelError, NeedsError, ParameterError, TrainingError
from manyways.methods.generative.gan import (
    GAN,
    GANLearner,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
)
from manyways.models.adversarial_generator import AdversarialGenerator
from manyways.models.saving import load_model
from manyways.randomness import generator
from manyways.training.events import Event
from manyways.training.loop import take_step
from manyways.training.optimizer import make_optimizer
from manyways.training.run import Run


@pytest.mark.quick
def test_the_losses_by_hand() -> None:
    real, drawn = torch.tensor([1.0, -2.0]), torch.tensor([0.5])

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    by_hand = -(math.log(sigmoid(1)) + math.log(sigmoid(-2))) / 2 - math.log(1 - sigmoid(0.5))
    assert float(discriminator_loss(real, drawn)) == pytest.approx(by_hand)
    assert float(generator_loss(drawn)) == pytest.approx(-math.log(sigmoid(0.5)))


@pytest.mark.quick
def test_the_gradient_penalty_by_hand() -> None:
    """Of D(x) = ½ |x|² the gradient is x."""
    rows = torch.tensor([[1.0, 2.0], [0.0, 3.0]], requires_grad=True)
    penalty = gradient_penalty(0.5 * rows.square().sum(1), rows)
    assert float(penalty.detach()) == pytest.approx((5 + 9) / 2)
    assert torch.autograd.grad(penalty, rows)[0].tolist() == [[1.0, 2.0], [0.0, 3.0]]


@pytest.mark.quick
def test_each_player_descends_its_own_loss(digits: Data) -> None:
    """The gradients are those that two separate players would compute, with the other one fixed."""
    method = GAN(batch_size=8)
    learner = method.begin(digits, None, 0)
    batch = method.draw(learner, 0, generator(0))
    assert batch["penalised"]
    method.gradients(learner, batch)
    found = {name: p.grad.clone() for name, p in learner.named_parameters() if p.grad is not None}

    learner.zero_grad()
    real = batch["real"].clone().requires_grad_()
    logits = learner.discriminator(real)
    drawn = learner.network(batch["latent"]).detach()
    against = discriminator_loss(logits, learner.discriminator(drawn)) + 0.1 / 2 * 16 * gradient_penalty(logits, real)
    against.backward()  # type: ignore[no-untyped-call]
    own = {name: p.grad.clone() for name, p in learner.discriminator.named_parameters() if p.grad is not None}
    learner.zero_grad()
    generator_loss(learner.discriminator(learner.network(batch["latent"]))).backward()  # type: ignore[no-untyped-call]
    others = {name: p.grad.clone() for name, p in learner.network.named_parameters() if p.grad is not None}

    assert {name for name in found if name.startswith("discriminator.")} == {f"discriminator.{name}" for name in own}
    for name, gradient in own.items():
        torch.testing.assert_close(found[f"discriminator.{name}"], gradient, rtol=1e-4, atol=1e-6)
    for name, gradient in others.items():
        torch.testing.assert_close(found[f"network.{name}"], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.quick
def test_the_norm_of_each_player_is_bounded(digits: Data) -> None:
    method = GAN(batch_size=8, clip=0.01)
    learner = method.begin(digits, None, 0)
    method.gradients(learner, method.draw(learner, 1, generator(0)))
    for player in method.players(learner).values():
        norm = torch.cat([p.grad.flatten() for p in player.parameters if p.grad is not None]).norm()
        assert float(norm) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.quick
def test_the_discriminator_learns_at_a_rate_of_its_own(digits: Data) -> None:
    method = GAN(discriminator_rate=3.0)
    learner = method.begin(digits, None, 0)
    optimizer = make_optimizer(method, learner)
    rates = {id(p): group["highest"] for group in optimizer.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in learner.discriminator.parameters()} == {3.0 * method.learning_rate}
    assert {rates[id(p)] for p in learner.network.parameters()} == {method.learning_rate}
    assert len(rates) == len(list(learner.network.parameters())) + len(list(learner.discriminator.parameters()))


@pytest.mark.quick
def test_the_model_is_the_average_of_the_generator(digits: Data) -> None:
    method = GAN(batch_size=8, average_decay=0.9)
    learner = method.begin(digits, None, 0)
    optimizer = make_optimizer(method, learner)
    expected = [p.detach().clone().double() for p in learner.network.parameters()]
    for step in range(4):
        take_step(method, learner, optimizer, step, 10, 0)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = [
            decay * e + (1 - decay) * p.detach().double()
            for e, p in zip(expected, learner.network.parameters(), strict=True)
        ]
    for e, p in zip(expected, learner.average.network.parameters(), strict=True):
        torch.testing.assert_close(p.double(), e, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def painter(digits: Data) -> AdversarialGenerator:
    """A GAN of digits that was told their classes."""
    model = GAN(conditional=True).fit(digits, budget=600)
    assert isinstance(model, AdversarialGenerator)
    return model


def test_a_classifier_knows_what_was_asked_for(digits: Data, painter: AdversarialGenerator) -> None:
    """One that saw real digits alone takes most drawn ones for the class that was asked."""
    classifier = mw.Supervised().fit(digits, budget=300)
    right = [(classifier.predict(painter.sample(60, seed=0, label=digit)) == digit).mean() for digit in range(10)]
    assert np.mean(right) > 0.8, right
    drawn = painter.sample(1000, seed=1)
    shares = np.bincount(drawn.take("label"), minlength=10) / 1000
    expected = np.bincount(digits.training.take("label"), minlength=10) / len(digits.training)
    assert np.abs(shares - expected).max() < 0.04
    assert (classifier.predict(drawn) == drawn.take("label")).mean() > 0.75


def test_pictures_are_drawn_as_the_data_has_them(painter: AdversarialGenerator, tmp_path: Path) -> None:
    drawn = painter.sample(20, seed=3)
    assert drawn.take("image").shape == (20, 1, 8, 8)
    assert drawn.take("image").dtype == np.uint8
    loaded = load_model(painter.save(tmp_path / "model"))
    assert np.array_equal(loaded.sample(20, seed=3).take("image"), drawn.take("image"))
    assert np.array_equal(loaded.sample(20, seed=3).take("label"), drawn.take("label"))
    assert not np.array_equal(painter.sample(20, seed=4).take("image"), drawn.take("image"))


def test_rows_of_a_table_come_in_its_own_units() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 800)
    columns = {
        "age": (20 + 10 * kind + rng.integers(0, 8, 800)).astype(np.int64),
        "height": 150 + 20 * kind + rng.normal(0, 2, 800),
        "sort": np.array(["cat", "dog"], object)[kind],
        "same": np.full(800, 7.5),
    }
    data = mw.read(columns, input=list(columns))
    drawn = GAN().fit(data, budget=800).sample(500, seed=0)
    assert drawn.take("age").dtype == np.int64
    assert (drawn.take("same") == 7.5).all()
    dogs = drawn.take("sort") == "dog"
    assert 0.2 < dogs.mean() < 0.8
    assert drawn.take("height")[dogs].mean() > drawn.take("height")[~dogs].mean() + 10


def test_a_density_is_refused_by_name(painter: AdversarialGenerator, digits: Data) -> None:
    with pytest.raises(ModelError, match="it cannot say how probable a row is. A method whose models can is vae"):
        painter.log_likelihood(digits)
    with pytest.raises(ModelError, match="it cannot put rows together again. A method whose models can is vae"):
        painter.reconstruct(digits)
    with pytest.raises(ModelError, match="says nothing of how probable they are, so that it has no score of its own"):
        painter.evaluate(digits.test)


def test_a_class_that_is_none_is_refused(painter: AdversarialGenerator, digits: Data) -> None:
    with pytest.raises(ParameterError, match="label must be one of 0, 1, 2, .*; got 'cat'"):
        painter.sample(3, label="cat")
    plain = GAN().fit(digits, budget=2)
    with pytest.raises(ParameterError, match=r"was not told classes, so none can be asked for; got label=3"):
        plain.sample(3, label=3)  # type: ignore[call-arg]


def test_classes_are_needed_to_draw_by_them(digits: Data) -> None:
    with pytest.raises(NeedsError, match="it needs labels, and no column has that role"):
        GAN(conditional=True).fit({"image": digits.take("image")}, budget=1)
    few = digits.with_labels(40, draw="stratified")
    assert len(GAN(conditional=True).fit(few, budget=2).lineage.rows) == 40
    assert len(GAN().fit(few, budget=2).lineage.rows) == len(few.training)


@dataclass(frozen=True, kw_only=True)
class BreaksDown(GAN):
    """A GAN whose loss is no number from some step on."""

    breaks_at: int = 150

    def draw(self, learner: Any, step: int, rng: torch.Generator) -> dict[str, Any]:
        batch = super().draw(learner, step, rng)
        return {**batch, "latent": batch["latent"] * (math.nan if step >= self.breaks_at else 1.0)}


def test_the_last_good_weights_are_kept_when_the_loss_is_no_number(digits: Data, tmp_path: Path) -> None:
    """Seen, said by an event, said in the lineage; the weights are those of a run that ended before."""
    heard: list[Event] = []
    model = BreaksDown().fit(digits, budget=400, run=Run(listeners=[heard.append]))
    (diverged,) = [event for event in heard if event.kind == "diverge"]
    assert diverged.step == 160
    assert heard[-1].kind == "stop"
    caution = model.lineage.facts["caution"]
    assert caution == diverged.note
    assert "The loss is not finite at step 160 of 400: loss = nan" in caution
    assert (
        "Try a tenth of the learning rate. What is kept are the weights of step 140, the last that were good" in caution
    )
    assert model.lineage.steps == 160
    seen: list[Any] = []

    def look(event: Event) -> None:
        if event.kind == "evaluate" and event.model is not None:
            seen.append(event.model().sample(16, seed=0).take("image"))

    BreaksDown(breaks_at=10**6).fit(digits, budget=400, run=Run(listeners=[look], evaluations=20))
    assert np.array_equal(model.sample(16, seed=0).take("image"), seen[6]), "after 140 of 400 steps"


def test_the_good_weights_outlive_a_kill(digits: Data, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(event: Event) -> None:
        if event.kind == "checkpoint" and event.step == 149:
            raise Killed

    run = Run(tmp_path / "run", [kill], checkpoint_seconds=0)
    with pytest.raises(Killed):
        BreaksDown().fit(digits, budget=400, run=run)
    again = BreaksDown().fit(digits, budget=400, run=Run(tmp_path / "run"))
    whole = BreaksDown().fit(digits, budget=400)
    assert np.array_equal(again.sample(16).take("image"), whole.sample(16).take("image"))
    assert again.lineage.facts == whole.lineage.facts


def test_what_breaks_at_once_is_an_error(digits: Data) -> None:
    with pytest.raises(TrainingError, match=r"not finite at step 10 of 400: .*Try a tenth of the learning rate\."):
        BreaksDown(breaks_at=0).fit(digits, budget=400)


def test_a_rate_that_is_far_too_high_is_seen(digits: Data) -> None:
    """Whatever it leads to, it is no model without a word: an error, or a caution with what to try."""
    try:
        model = GAN(learning_rate=30.0, discriminator_rate=30.0).fit(digits, budget=800)
        said = model.lineage.facts["caution"]
    except TrainingError as error:
        said = str(error)
    assert "Try" in said


@dataclass(frozen=True, kw_only=True)
class Collapses(GAN):
    """A GAN that draws one and the same row from some step on."""

    def draw(self, learner: Any, step: int, rng: torch.Generator) -> dict[str, Any]:
        batch = super().draw(learner, step, rng)
        return {**batch, "latent": batch["latent"] * (0.0 if step >= 200 else 1.0)}


def test_a_collapse_is_seen(digits: Data) -> None:
    model = Collapses().fit(digits, budget=900)
    caution = model.lineage.facts["caution"]
    assert "steps drawn rows have been nearly all alike: they differ" in caution
    assert "Try a larger penalty" in caution
    assert model.lineage.steps < 700
    kept = int(caution.split("weights of step ")[1].split(",")[0])
    assert 200 <= kept < 500
    assert model.sample(50).take("image").astype(float).std(0).mean() > 20, "what is kept draws different rows"


@pytest.mark.quick
def test_architectures_for_images(digits: Data) -> None:
    small = GAN().begin(digits, None, 0)
    assert small.network.decoder.name == "perceptron"
    large = GAN().begin(mw.read({"x": np.zeros((4, 3, 40, 33), np.uint8)}), None, 0)
    assert large.network.decoder.name == "convolutional"
    drawn: Tensor = large.network(torch.randn(2, 64))
    assert drawn.shape == (2, 3, 40, 33)
    assert large.discriminator(drawn).shape == (2,)
    assert isinstance(large, GANLearner)
