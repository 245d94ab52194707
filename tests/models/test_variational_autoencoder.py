"""VariationalAutoencoder: its estimate of ln p(x) against models whose likelihood is known, and what it refuses."""

from math import log, pi
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import nn

import manyways as mw
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.errors import ModelError, ParameterError
from manyways.methods.generative.vae import VAE
from manyways.models.generative.decoders import Decoder
from manyways.models.generative.likelihoods import TableLikelihood
from manyways.models.generative.units import Units
from manyways.models.network import make_network
from manyways.models.saving import load_model
from manyways.models.variational_autoencoder import (
    Terms,
    VariationalAutoencoder,
    VariationalNetwork,
    divergence,
    terms,
)

WIDTH, LATENT = 5, 2


DEVIATION = 0.6


class LinearDecoder(Decoder):
    """x = W z + b: with Gaussian noise this is probabilistic principal component analysis (Tipping & Bishop 1999)."""

    name = "linear"

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.config = {}
        self.linear = nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            self.linear.weight.copy_(weight)
            self.linear.bias.copy_(bias)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.linear(latent)
        return outputs


@pytest.fixture(scope="module")
def table() -> Data:
    """Rows that are encoded as they are: every column has mean 0 and deviation 1."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH))
    x = (x - x.mean(0)) / x.std(0)
    return mw.read({f"x{at}": x[:, at] for at in range(WIDTH)})


def linear_gaussian(
    table: Data, weight: torch.Tensor, matrix: torch.Tensor, spread: torch.Tensor
) -> VariationalAutoencoder:
    """The model x = W z + noise with q(z | x) = N(A x, e^spread)."""
    encoding = InputEncoding.fit(table)
    encoder = make_network(encoding.specs, projection=LATENT)
    likelihood = TableLikelihood.for_spec(encoding.specs["table"])  # type: ignore[arg-type]
    network = VariationalNetwork(encoder, LinearDecoder(weight, torch.zeros(WIDTH)), likelihood)
    likelihood.log_deviation.data.fill_(log(DEVIATION))

    def posterior(inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        mean = inputs["table"] @ matrix.T
        return mean, spread.expand_as(mean)

    network.posterior = posterior  # type: ignore[method-assign]
    return VariationalAutoencoder(
        network=network.eval(), inputs=encoding, units=Units.of(table), gives=frozenset({"density", "sample"})
    )


def closed_form(table: Data, weight: torch.Tensor) -> np.ndarray:
    """ln N(x; 0, W Wᵀ + σ² I) of every row."""
    x = np.stack([table.take(f"x{at}") for at in range(WIDTH)], 1)
    w = weight.numpy().astype(float)
    return np.asarray(multivariate_normal(np.zeros(WIDTH), w @ w.T + DEVIATION**2 * np.eye(WIDTH)).logpdf(x))


def weights(orthogonal: bool = True) -> torch.Tensor:
    drawn = torch.randn(WIDTH, LATENT, generator=torch.Generator().manual_seed(2))
    return torch.linalg.qr(drawn)[0] * torch.tensor([1.5, 0.8]) if orthogonal else drawn


def test_with_the_exact_posterior_one_sample_gives_the_likelihood(table: Data) -> None:
    """p(x, z) / q(z | x) is p(x) for every z: to five decimals of each row's likelihood, in float32."""
    weight = weights()
    precision = torch.eye(LATENT) + weight.T @ weight / DEVIATION**2
    matrix = torch.linalg.inv(precision) @ weight.T / DEVIATION**2
    model = linear_gaussian(table, weight, matrix, -precision.diagonal().log())
    for samples in (1, 64):
        found = model.log_likelihood(table, samples=samples)
        assert found == pytest.approx(closed_form(table, weight), abs=2e-5)


def test_with_another_posterior_it_tends_to_the_likelihood_from_below(table: Data) -> None:
    """A proposal that is too wide and off the mean: within 0.01 nats a row from 4,096 draws, and rising towards it."""
    weight = weights()
    precision = torch.eye(LATENT) + weight.T @ weight / DEVIATION**2
    matrix = 0.8 * torch.linalg.inv(precision) @ weight.T / DEVIATION**2
    model = linear_gaussian(table, weight, matrix, 0.5 - precision.diagonal().log())
    exact = closed_form(table, weight).mean()
    one, few, many, most = (float(model.log_likelihood(table, samples=count).mean()) for count in (1, 4, 64, 4096))
    assert one < few - 0.1 < few < many
    assert one < exact - 0.15
    assert many == pytest.approx(exact, abs=0.02)
    assert most == pytest.approx(exact, abs=0.01)


def test_the_divergence_by_hand() -> None:
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, log(4.0)]])
    by_hand = 0.5 * (1 + 1 - 0 - 1) + 0.5 * (4 + 4 - log(4) - 1)
    assert float(divergence(mean, log_variance)) == pytest.approx(by_hand)
    assert float(divergence(torch.zeros(1, 3), torch.zeros(1, 3))) == 0


def test_the_bounds_are_ordered_and_agree_on_the_divergence(table: Data) -> None:
    """The mean of ln p(z) − ln q(z | x) tends to −KL; one weighted sample is the evidence bound in expectation."""
    model = linear_gaussian(table, weights(), torch.full((LATENT, WIDTH), 0.1), torch.tensor([0.3, -1.0]))
    values = model.inputs.encode(table).batch(np.arange(20))["table"]
    noise = torch.randn(20, 20_000, LATENT, generator=torch.Generator().manual_seed(0))
    found = terms(model.network, values, {"table": values}, noise)
    assert found.prior.mean(1).detach().numpy() == pytest.approx(-found.divergence.detach().numpy(), abs=0.05)
    bound, tighter = found.evidence_bound(), found.importance_weighted()
    assert (tighter > bound).all()
    once = Terms(found.reconstruction[:, :1], found.prior[:, :1], found.divergence)
    assert (
        float((once.importance_weighted() - once.reconstruction[:, 0] - once.prior[:, 0]).detach().abs().max()) < 1e-5
    )


def test_of_a_known_gaussian_the_trained_model_says_what_it_is(table: Data) -> None:
    """A trained VAE cannot be more probable than the truth: the Gaussian that the columns were drawn from."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 2))
    x = rng.normal(size=(4000, 2)) @ mixing.T + 0.5 * rng.normal(size=(4000, 6))
    data = mw.read({f"x{at}": x[:, at] for at in range(6)}).with_test(0.25)
    model = VAE(latent=4).fit(data, budget=500)
    standard = np.log(np.std(x[data.training.rows], axis=0)).sum()
    covariance = mixing @ mixing.T + 0.25 * np.eye(6)
    truth = -multivariate_normal(np.zeros(6), covariance).logpdf(x[data.test.rows]).mean() - standard
    nats = model.evaluate(data.test)["nats_per_row"]
    assert truth - 0.1 < nats < truth + 0.5, (truth, nats)


def test_what_is_asked_wrongly_is_refused(table: Data) -> None:
    model = VAE().fit(table, budget=2)
    for wrong in (0, 1.5, True):
        with pytest.raises(ParameterError, match=r"count must be a whole number in \[1, inf\)"):
            model.sample(wrong)  # type: ignore[arg-type]
        with pytest.raises(ParameterError, match=r"samples must be a whole number in \[1, inf\)"):
            model.log_likelihood(table, samples=wrong)  # type: ignore[call-arg]
    with pytest.raises(ParameterError, match=r"seed must be a whole number in \[0, 2\*\*32\); got -1"):
        model.sample(3, seed=-1)
    with pytest.raises(ModelError, match="vae gives .*: it cannot predict. A method whose models can is supervised"):
        model.predict(table)


def test_saved_and_loaded_it_draws_the_same(table: Data, tmp_path: Path) -> None:
    model = VAE().fit(table, budget=5)
    loaded = load_model(model.save(tmp_path / "model"))
    for name in table.columns:
        assert np.array_equal(model.sample(20, seed=3).take(name), loaded.sample(20, seed=3).take(name))
        assert np.array_equal(model.reconstruct(table).take(name), loaded.reconstruct(table).take(name))
    assert np.array_equal(model.log_likelihood(table), loaded.log_likelihood(table))
    assert not np.array_equal(model.sample(20, seed=3).take("x0"), model.sample(20, seed=4).take("x0"))


def test_log_likelihood_of_a_row_does_not_depend_on_the_others(table: Data) -> None:
    model = VAE().fit(table, budget=20)
    together = model.log_likelihood(table)
    backwards = model.log_likelihood(table.select(np.arange(len(table))[::-1]))
    assert backwards[::-1] == pytest.approx(together, abs=1e-4)
    assert model.log_likelihood(table.select(np.array([7]))) == pytest.approx(together[[7]], abs=1e-4)
    assert together.dtype == np.float64
    # In nats: a standard Gaussian of 5 numbers has 5/2 ln 2πe.
    assert -together.mean() < WIDTH / 2 * log(2 * pi * np.e) + 1
