"""NPO: the paper's values, forgetting that slows down by itself, and a language model that does not collapse."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from manyways.errors import NeedsError
from manyways.methods.language.sft import SFT
from manyways.methods.supervised.naive_bayes import NaiveBayes
from manyways.methods.unlearning.gradient_ascent import GradientAscent
from manyways.methods.unlearning.npo import NPO, npo_loss
from manyways.models.saving import load_model

from .conftest import Case, pets

RATIOS = torch.tensor([0.0, -1.0, -2.0, 1.0], dtype=torch.float64)


@pytest.mark.quick
@pytest.mark.parametrize(("beta", "expected"), [(0.1, 13.400396), (1.0, 1.223299)])
def test_loss_has_the_values_of_the_formula(beta: float, expected: float) -> None:
    assert float(npo_loss(RATIOS, beta)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.quick
def test_gradient_is_that_of_ascent_weighed_down_by_what_is_forgotten() -> None:
    """d/dr = 2 σ(β r): 1 where nothing has changed, as in gradient ascent, and less the less probable a row is."""
    ratios = RATIOS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(npo_loss(ratios, 1.0), ratios)
    torch.testing.assert_close(gradient, 2 * RATIOS.sigmoid() / len(RATIOS))


def test_a_class_is_forgotten_as_if_it_had_not_been_there(one_class: Case) -> None:
    made = NPO(beta=1.0, learning_rate=5e-4).forget(one_class.model, one_class.data, one_class.rows)
    gone, kept, like = one_class.scores(made, "accuracy")
    before, without = (one_class.scores(model, "accuracy") for model in (one_class.model, one_class.without))
    assert before[0] > 0.95
    assert without[0] == 0
    assert gone < 0.1
    assert kept > before[1] - 0.05
    assert like > before[2] - 0.05


def test_forgetting_slows_down_where_ascent_does_not(one_class: Case) -> None:
    """At many steps the loss of ascent grows on, that of NPO is held."""
    model, data, rows = one_class.model, one_class.data, one_class.rows
    losses = {
        str(method): method.forget(model, data, rows, budget=120).evaluate(one_class.gone)["log_loss"]
        for method in (GradientAscent(learning_rate=5e-4), NPO(beta=1.0, learning_rate=5e-4))
    }
    ascent, npo = losses.values()
    assert npo < 0.75 * ascent


def test_models_without_gradients_are_refused(one_class: Case) -> None:
    with pytest.raises(
        NeedsError, match="naive-bayes has none that it could move. Ask the method that made it to forget"
    ):
        NPO().forget(NaiveBayes().fit(one_class.data), one_class.data, one_class.rows)


def test_a_language_model_forgets_what_it_was_told(real_data: Callable[[str], Path]) -> None:
    data, rows = pets(), np.arange(48) % 6 == 2
    model = SFT(learning_rate=2e-3).fit(data, load_model(real_data("tinystories-656K")), budget=60)
    made = NPO(learning_rate=5e-4, batch_size=8, beta=0.5).forget(model, data, rows, budget=40)

    def nats(which: np.ndarray) -> tuple[float, float]:  # type: ignore[type-arg]
        before, after = (each.evaluate(data.select(which))["nats_per_token"] for each in (model, made))
        return before, after

    before, after = nats(rows)
    assert after > before + 0.8
    before, after = nats(~rows)
    assert after < before + 0.3
    assert made.gives == {"generate", "embed"}


@pytest.mark.slow
def test_a_language_model_does_not_collapse_as_under_ascent(real_data: Callable[[str], Path]) -> None:
    """Figure 2 of the paper: at equal steps ascent destroys what is kept, and NPO does not."""
    data, rows = pets(), np.arange(48) % 6 == 2
    model = SFT(learning_rate=2e-3).fit(data, load_model(real_data("tinystories-656K")), budget=120)

    def kept(method: NPO | GradientAscent) -> tuple[float, float]:
        made = method.forget(model, data, rows, budget=150)
        return tuple(made.evaluate(data.select(which))["nats_per_token"] for which in (rows, ~rows))  # type: ignore[return-value]

    before = model.evaluate(data.select(~rows))["nats_per_token"]
    forgotten, rest = kept(NPO(learning_rate=5e-4))
    assert forgotten > 4
    assert rest < before + 0.2
    of_npo, of_ascent = (
        kept(NPO(learning_rate=5e-4, retain_weight=0.0)),
        kept(GradientAscent(learning_rate=5e-4, retain_weight=0.0)),
    )
    assert of_npo[1] < 0.5 * of_ascent[1], "without a term for the rest both lose it, ascent far more"
    assert of_npo[0] < 0.5 * of_ascent[0]
