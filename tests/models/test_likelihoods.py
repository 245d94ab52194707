"""Likelihoods: they sum to one, agree with other libraries, and stay finite."""

from math import log

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import logistic, norm

from manyways.data.specs import TableSpec
from manyways.models.generative.likelihoods import (
    LIKELIHOODS,
    SMALLEST_DEVIATION,
    Bernoulli,
    DiscretisedLogistic,
    TableLikelihood,
)

pytestmark = pytest.mark.quick


def raw_of(pixels: int, seed: int = 0, scale: float = 2.0) -> torch.Tensor:
    return torch.randn(1, 2, 1, pixels, generator=torch.Generator().manual_seed(seed)) * scale


def test_the_256_values_of_a_pixel_have_probability_one_together() -> None:
    likelihood = DiscretisedLogistic()
    encoded = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)
    values = likelihood.observed(encoded, torch.zeros(256, 1, 1, 1))
    for seed in range(20):
        raw = raw_of(1, seed).double().expand(256, -1, -1, -1)
        assert float(likelihood.log_probability(raw, values).exp().sum()) == pytest.approx(1, abs=2e-4), seed


def test_a_pixel_has_the_share_of_the_logistic_distribution_that_falls_to_it() -> None:
    likelihood = DiscretisedLogistic()
    raw = torch.tensor([0.3, 0.7]).view(1, 2, 1, 1)
    scale = np.exp(0.7 - 2)
    for pixel in (0, 1, 100, 254, 255):
        values = likelihood.observed(torch.full((1, 1, 1, 1), pixel, dtype=torch.uint8), torch.zeros(1))
        middle = pixel / 127.5 - 1
        high = 1.0 if pixel == 255 else logistic.cdf(middle + 1 / 255, 0.3, scale)
        low = 0.0 if pixel == 0 else logistic.cdf(middle - 1 / 255, 0.3, scale)
        found = float(likelihood.log_probability(raw, values))
        assert found == pytest.approx(np.log(high - low), abs=1e-3), pixel


def test_pixels_far_from_what_is_expected_are_improbable_and_not_impossible() -> None:
    likelihood = DiscretisedLogistic()
    raw = torch.tensor([-50.0, -20.0]).view(1, 2, 1, 1).requires_grad_()
    for pixel in (0, 128, 255):
        values = likelihood.observed(torch.full((1, 1, 1, 1), pixel, dtype=torch.uint8), torch.zeros(1))
        found = likelihood.log_probability(raw, values)
        assert torch.isfinite(found).all()
        assert torch.isfinite(torch.autograd.grad(found.sum(), raw)[0]).all()


def test_logistic_pixels_are_drawn_as_they_are_probable() -> None:
    likelihood = DiscretisedLogistic()
    raw = torch.tensor([0.1, 0.0]).view(1, 2, 1, 1).expand(200_000, -1, -1, -1)
    drawn = likelihood.draw(raw, torch.Generator().manual_seed(0)).flatten().numpy().astype(int)
    encoded = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)
    values = likelihood.observed(encoded, torch.zeros(256, 1, 1, 1))
    shares = likelihood.log_probability(raw[:256], values).exp().numpy()
    counts = np.bincount(drawn, minlength=256) / len(drawn)
    assert np.abs(counts - shares).max() < 0.003
    assert likelihood.mean(raw[:1]).item() == round((0.1 + 1) * 127.5)


def test_bernoulli_pixels() -> None:
    likelihood = Bernoulli()
    raw = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    values = (torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    expected = torch.distributions.Bernoulli(logits=raw).log_prob(values).flatten(1).sum(1)
    torch.testing.assert_close(likelihood.log_probability(raw, values), expected)
    grey = torch.full((20_000, 1, 1, 1), 64, dtype=torch.uint8)
    chance = torch.rand(grey.shape, generator=torch.Generator().manual_seed(2))
    assert float(likelihood.observed(grey, chance).mean()) == pytest.approx(64 / 255, abs=0.01)
    black_and_white = torch.tensor([0, 255], dtype=torch.uint8).repeat(1000).view(-1, 1, 1, 1)
    seen = likelihood.observed(black_and_white, torch.rand(black_and_white.shape))
    assert torch.equal(seen, black_and_white.float() / 255)
    assert set(np.unique(likelihood.draw(raw, torch.Generator().manual_seed(0)).numpy())) == {0, 255}


SPEC = TableSpec(5, ((0, 1), (1, 4), (4, 5)), (0, 2))


def test_rows_of_a_table() -> None:
    """Two numbers and a category of three."""
    likelihood = TableLikelihood.for_spec(SPEC)
    likelihood.log_deviation.data.copy_(torch.tensor([log(0.5), log(2.0)]))
    raw = torch.tensor([[0.2, 1.0, 0.0, -1.0, 3.0]])
    row = torch.tensor([[0.7, 0.0, 1.0, 0.0, 1.0]])
    by_hand = norm(0.2, 0.5).logpdf(0.7) + norm(3, 2).logpdf(1.0) + float(F.log_softmax(raw[0, 1:4], 0)[1])
    assert float(likelihood.log_probability(raw, row).detach()) == pytest.approx(by_hand, abs=1e-5)
    assert likelihood.mean(raw).tolist()[0] == pytest.approx([0.2, 1, 0, 0, 3])


def test_rows_of_a_table_are_drawn_as_they_are_probable() -> None:
    likelihood = TableLikelihood.for_spec(SPEC)
    likelihood.log_deviation.data.copy_(torch.tensor([log(0.5), log(2.0)]))
    raw = torch.tensor([[0.2, 1.0, 0.0, -1.0, 3.0]]).expand(50_000, -1)
    drawn = likelihood.draw(raw, torch.Generator().manual_seed(0)).detach().numpy()
    assert drawn[:, [0, 4]].mean(0) == pytest.approx([0.2, 3.0], abs=0.03)
    assert drawn[:, [0, 4]].std(0) == pytest.approx([0.5, 2.0], rel=0.02)
    assert drawn[:, 1:4].mean(0) == pytest.approx(F.softmax(raw[0, 1:4], 0).numpy(), abs=0.01)
    assert (drawn[:, 1:4].sum(1) == 1).all()


def test_a_constant_number_is_not_as_probable_as_one_likes() -> None:
    likelihood = TableLikelihood.for_spec(SPEC)
    likelihood.log_deviation.data.fill_(-50.0)
    assert likelihood.deviation.tolist() == pytest.approx([SMALLEST_DEVIATION] * 2)


@pytest.mark.parametrize("likelihood", [Bernoulli(), DiscretisedLogistic(), TableLikelihood.for_spec(SPEC)])
def test_it_is_made_again_from_its_description(likelihood: Bernoulli) -> None:
    again = LIKELIHOODS.rebuild({"name": likelihood.name, **likelihood.config})
    assert type(again) is type(likelihood)
    again.load_state_dict(likelihood.state_dict())
