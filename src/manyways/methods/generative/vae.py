"""Variational autoencoder: an encoder and a decoder that agree on a few latent numbers."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
import torch

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import ImageSpec
from manyways.errors import ParameterError
from manyways.methods.bases.generative import GenerativeLearner, GenerativeMethod, is_black_and_white
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Named, Positive, Share
from manyways.methods.method import Ablations
from manyways.models.generative.decoders import DECODERS, make_decoder
from manyways.models.generative.likelihoods import (
    LIKELIHOODS,
    make_likelihood,
)
from manyways.models.generator import dimensions, drawn
from manyways.models.model import Model
from manyways.models.network import make_network
from manyways.models.variational_autoencoder import (
    VariationalAutoencoder,
    VariationalNetwork,
    terms,
)

MOST_VALIDATED = 256
"""Validation rows that early stopping looks at: each is decoded many times."""


class VAELearner(GenerativeLearner):
    """A generative learner that is stopped early by few of the validation rows."""

    network: VariationalNetwork

    @property
    def validation(self) -> Data | None:
        """At most 256 of the validation rows, evenly spread."""
        rows = self.data.validation
        some = np.linspace(0, len(rows) - 1, min(MOST_VALIDATED, len(rows))).astype(int)
        return rows.select(some) if len(rows) else None


@dataclass(frozen=True, kw_only=True)
class VAE(GenerativeMethod[VAELearner]):
    """Learn to draw rows, and how probable they are: a Gaussian over latent numbers, and a decoder of these.

    It learns from images or from the numbers and categories of a table. What it learned to encode is a start for
    methods that learn from labels.
    """

    latent: Count = 32
    """Latent numbers of a row."""
    likelihood: Annotated[str, Named(LIKELIHOODS, "auto")] = "auto"
    """Of pixels: bernoulli: black or white, and grey ones so by chance; logistic: each of its 256 values. auto takes
    bernoulli where all are black or white. Numbers of a table are Gaussian, categories categorical."""
    beta: Positive = 1.0
    """Weight of the divergence of the latent numbers from their prior (β-VAE); 1 bounds the likelihood."""
    warm_up: Share = 0.1
    """Share of the steps over which that weight rises from 0 (Bowman et al. 2016; Sønderby et al. 2016)."""
    samples: Count = 1
    """Latent draws of each row; several train on the importance-weighted bound (IWAE, Burda et al. 2016)."""
    backbone: str = "auto"
    """Network of the encoder: auto takes strided convolutions for images, a perceptron for tables; or a name."""
    decoder: Annotated[str, Named(DECODERS, "auto")] = "auto"
    """Network of the decoder of images; auto is convolutional. Tables have a perceptron."""
    learning_rate: Positive = 3e-3
    """The highest learning rate of AdamW, reached after the warm-up."""

    gives: ClassVar = frozenset({"sample", "reconstruct", "embed", "density"})
    takes: ClassVar = frozenset({"density"})
    suggests: ClassVar = ("vae",)
    paper: ClassVar = "Kingma & Welling, Auto-encoding variational Bayes, ICLR 2014"

    field_trials: ClassVar = {"backbone": {"backbone": "flat-perceptron"}}

    def ablations(self, data: Data) -> Ablations:
        return {"the likelihood of its rows": (replace(self, beta=1e9), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> VAELearner:
        if model is not None:
            return self._go_on(data, model, seed)
        encoding = InputEncoding.fit(data)
        _, spec = drawn(encoding)
        rows = encoding.encode(data.training)
        backbone = "strided" if self.backbone == "auto" and isinstance(spec, ImageSpec) else self.backbone
        encoder = make_network(encoding.specs, backbone=backbone, size=self.size, projection=self.latent)
        encoder.measure(rows)
        binary = isinstance(spec, ImageSpec) and self.likelihood == "auto" and is_black_and_white(rows)
        likelihood = make_likelihood(spec, self.likelihood, black_and_white=binary)
        decoder = make_decoder(spec, self.latent, likelihood.outputs, architecture=self.decoder, size=self.size)
        return VAELearner(VariationalNetwork(encoder, decoder, likelihood), data, encoding, seed)

    def _go_on(self, data: Data, model: Model, seed: int) -> VAELearner:
        if not isinstance(model, VariationalAutoencoder):
            raise ParameterError(f"VAE goes on from a variational autoencoder; {model.lineage.title} is none.")
        import copy

        return VAELearner(copy.deepcopy(model.network).requires_grad_(True), data, model.inputs, seed)

    def draw(self, learner: VAELearner, step: int, rng: torch.Generator) -> Batch:
        network = learner.network
        encoded = learner.take(learner.pick(learner.everything, self.batch_size, step))[learner.modality]
        chance = torch.rand(encoded.shape, generator=rng).to(encoded.device)
        values = network.likelihood.observed(encoded, chance)
        noise = torch.randn(len(encoded), self.samples, network.latent, generator=rng)
        return {
            "values": values,
            "inputs": {learner.modality: network.likelihood.encoder_inputs(values, encoded)},
            "noise": noise.to(encoded.device),
            "weight": self.beta * min(1.0, learner.progress(step) / self.warm_up if self.warm_up else 1.0),
        }

    def loss(self, learner: VAELearner, batch: Batch) -> Loss:
        network = learner.network
        parts, weight = terms(network, batch["values"], batch["inputs"], batch["noise"]), batch["weight"]
        bound = parts.evidence_bound(weight) if self.samples == 1 else parts.importance_weighted(weight)
        # In nats a dimension, so that gradients are as large for pictures as for tables.
        loss = -bound.mean() / dimensions(learner.spec)
        return loss, {"nats": -parts.evidence_bound().mean(), "divergence": parts.divergence.mean()}

    def make_model(self, learner: VAELearner) -> Model:
        return VariationalAutoencoder(network=learner.network, inputs=learner.encoding, units=learner.units)
