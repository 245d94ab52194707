"""VariationalAutoencoder: draws rows, puts them together again, embeds them, and says how probable they are."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.encoding import Encoded
from manyways.data.specs import ImageSpec
from manyways.errors import ParameterError
from manyways.models.generative.decoders import DECODERS, Decoder
from manyways.models.generative.likelihoods import LIKELIHOODS, Likelihood
from manyways.models.generator import Generator, checked, described, dimensions, in_pieces, noise_of_rows
from manyways.models.lineage import Lineage
from manyways.models.network import Inputs, Network, rebuild_network
from manyways.models.predictor import Predictor
from manyways.models.reading import inputs_of
from manyways.models.rebuilding import filled
from manyways.models.weights import write_weights

if TYPE_CHECKING:
    from manyways.data.read import Source

SAMPLES = 64
"""Importance-weighted draws from which the probability of a row is estimated."""
DECODED_AT_ONCE = 4096
MOST_SCORED = 2000
"""`evaluate` looks at so many rows at most, evenly spread: each is decoded `SAMPLES` times."""
SMALLEST_LOG_VARIANCE = -12.0


class VariationalNetwork(nn.Module):
    """An encoder that gives a Gaussian over latent numbers, and a decoder that gives one over rows.

    The features of `encoder` are the mean of that Gaussian; `spread` gives its log-variance.
    """

    def __init__(self, encoder: Network, decoder: Decoder, likelihood: Likelihood) -> None:
        super().__init__()
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.spread = nn.Linear(encoder.joined_width, encoder.width)

    @property
    def latent(self) -> int:
        """Number of latent variables of a row."""
        return self.encoder.width

    def posterior(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """The mean and the log-variance of q(z | x), both [n, latent]."""
        joined = self.encoder.joined(inputs)
        assert self.encoder.projection is not None
        log_variance = self.spread(joined).float().clamp(SMALLEST_LOG_VARIANCE, 12.0)
        return self.encoder.projection(joined).float(), log_variance

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuild` makes the same architecture."""
        return {
            "encoder": self.encoder.config(),
            "decoder": {"name": self.decoder.name, **self.decoder.config},
            "likelihood": {"name": self.likelihood.name, **self.likelihood.config},
        }

    @staticmethod
    def rebuild(saved: Mapping[str, Any]) -> "VariationalNetwork":
        """The architecture that `config` described, with random weights.

        Raises:
            ModelError: It does not fit.
        """
        parts = rebuild_network(saved["encoder"]), DECODERS.rebuild(saved["decoder"])
        return VariationalNetwork(*parts, LIKELIHOODS.rebuild(saved["likelihood"]))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The Kullback–Leibler divergence of N(mean, e^log_variance) from N(0, 1), summed over the latent numbers, [n]."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


@dataclass(frozen=True, eq=False)
class Terms:
    """Terms of bounds on ln p(x), in nats, for z drawn from q(z | x).

    Attributes:
        reconstruction: ln p(x | z), [n, samples].
        prior: ln p(z) − ln q(z | x), [n, samples].
        divergence: Divergence of q from p(z), [n].
    """

    reconstruction: Tensor
    prior: Tensor
    divergence: Tensor

    def evidence_bound(self, weight: float = 1.0) -> Tensor:
        """The evidence lower bound [n] (Kingma & Welling, ICLR 2014), in which the divergence counts `weight` times.

        A weight other than 1 makes a β-VAE of it (Higgins et al., ICLR 2017).
        """
        return self.reconstruction.mean(1) - weight * self.divergence

    def importance_weighted(self, weight: float = 1.0) -> Tensor:
        """The logarithm of the mean of p(x, z) / q(z | x), [n]: a tighter bound, which tends to ln p(x).

        Source: Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, ICLR 2016. The prior counts `weight`
        times.
        """
        weights = self.reconstruction + weight * self.prior
        return weights.logsumexp(1) - log(weights.shape[1])


def terms(network: VariationalNetwork, values: Tensor, inputs: Inputs, noise: Tensor) -> Terms:
    """The terms of the bounds for latent numbers drawn by `noise` [n, samples, latent].

    values: the rows as they are modelled; inputs: as the encoder sees them.
    """
    mean, log_variance = network.posterior(inputs)
    rows, samples, _ = noise.shape
    latent = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
    # The constants of the two Gaussians cancel.
    prior = 0.5 * (noise.square() - latent.square() + log_variance[:, None]).sum(2)
    raw = network.decoder(latent.flatten(0, 1))
    repeated = values.repeat_interleave(samples, 0) if samples > 1 else values
    likelihood = network.likelihood.log_probability(raw, repeated).view(rows, samples)
    return Terms(likelihood, prior, divergence(mean, log_variance))


@dataclass(frozen=True, eq=False, kw_only=True)
class VariationalAutoencoder(Generator):
    """A latent-variable model of rows: it gives sample, reconstruct, embed and density."""

    kind: ClassVar[str] = "variational-autoencoder"
    network: VariationalNetwork = field(repr=False)

    def sample(self, count: int, *, seed: int = 0, noise: bool | None = None) -> Data:
        """`count` rows drawn from the model, as data with the columns that it learned from.

        noise: whether what the latent numbers leave open is drawn, too; else what is expected is given. By default it
        is drawn for tables, and not for pictures, of which people want to see no noise. Numbers stay within those of
        the training rows. The same seed draws the same rows.
        """
        rng = checked(count, seed)
        open_too = not isinstance(self.spec, ImageSpec) if noise is None else noise
        latent = torch.randn(count, self.network.latent, generator=rng).to(self.device)
        with torch.inference_mode():
            parts = [self._decoded(latent[piece], rng if open_too else None) for piece in in_pieces(count)]
        return self.as_rows(parts, "drawn")

    def reconstruct(self, source: "Source") -> Data:
        """Reconstruction of each row: its expected values, given the mean of its latent variables."""
        rows = self.inputs.encode(inputs_of(source, self.inputs))
        parts = []
        with torch.inference_mode():
            for piece in in_pieces(len(rows)):
                inputs = rows.batch(np.arange(piece.start, piece.stop), self.device)
                parts.append(self._decoded(self.network.encoder.features(inputs), None))
        return self.as_rows(parts, "reconstructed")

    def embed(self, source: "Source") -> NDArray[np.float32]:
        """The mean of each row's latent numbers, float32 [rows, latent]."""
        return self.as_predictor().embed(source)

    def log_likelihood(self, source: "Source", *, samples: int = SAMPLES, seed: int = 0) -> NDArray[np.float64]:
        """An estimate of ln p(x) of each row in nats, float64 [rows]: by importance weighting over `samples` draws.

        It is a lower bound in expectation, which rises towards ln p(x) with the samples (Burda et al. 2016). Of
        pictures it is of a probability, of a table a density of standardised numbers. Where the model is one of black
        and white pixels, grey ones are made so by chance, as they are bright, once for each row and seed.
        """
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
            raise ParameterError(f"samples must be a whole number in [1, inf); got {samples!r}.")
        data = inputs_of(source, self.inputs)
        rows, bounds = self.inputs.encode(data), np.empty(len(data))
        with torch.inference_mode():
            for piece in in_pieces(len(rows), max(1, DECODED_AT_ONCE // samples)):
                bounds[piece] = self._log_likelihood(rows, data.ids[piece], piece, samples, seed)
        return bounds

    def _log_likelihood(
        self, rows: Encoded, ids: NDArray[np.uint64], piece: slice, samples: int, seed: int
    ) -> NDArray[np.float64]:
        inputs = rows.batch(np.arange(piece.start, piece.stop), self.device)
        ((name, encoded),) = inputs.items()
        chance = noise_of_rows(ids, encoded.shape[1:], seed, 1, uniform=True).to(self.device)
        values = self.network.likelihood.observed(encoded, chance)
        noise = noise_of_rows(ids, (samples, self.network.latent), seed, 2).to(self.device)
        seen = {name: self.network.likelihood.encoder_inputs(values, encoded)}
        found = terms(self.network, values, seen, noise)
        exact = Terms(found.reconstruction.double(), found.prior.double(), found.divergence)
        return np.asarray(exact.importance_weighted().cpu().numpy())

    @property
    def metric(self) -> str | None:
        return "nats_per_row"

    def evaluate(self, source: "Source", *, samples: int = SAMPLES) -> dict[str, float]:
        """−ln p(x) on average over at most 2,000 rows, evenly spread: in nats a row, and in bits a dimension."""
        data = inputs_of(source, self.inputs)
        some = data.select(np.linspace(0, len(data) - 1, min(MOST_SCORED, len(data))).astype(int))
        nats = -float(self.log_likelihood(some, samples=samples).mean())
        return {"nats_per_row": nats, "bits_per_dimension": nats / (dimensions(self.spec) * log(2))}

    def as_predictor(self, data: "Data | None" = None) -> Predictor:
        encoder = copy.copy(self.network.encoder)
        return Predictor(network=encoder, inputs=self.inputs, gives=frozenset({"embed"}), lineage=self.lineage)

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {"network": self.network.config(), "inputs": self.inputs.to_json(), "units": self.units.to_json()}

    @classmethod
    def read(
        cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage
    ) -> "VariationalAutoencoder":
        network = filled(lambda: VariationalNetwork.rebuild(saved["network"]), folder)
        return cls(network=network, **described(saved), gives=gives, lineage=lineage)

    def _decoded(self, latent: Tensor, rng: torch.Generator | None) -> Tensor:
        raw, likelihood = self.network.decoder(latent), self.network.likelihood
        return likelihood.mean(raw) if rng is None else likelihood.draw(raw, rng)
