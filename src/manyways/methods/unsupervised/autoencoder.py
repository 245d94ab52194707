"""Autoencoder: an encoder and a decoder that put rows through a few numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import ImageSpec
from manyways.data.storage import chunks_of
from manyways.errors import ParameterError
from manyways.methods.ablations import with_values
from manyways.methods.bases.generative import GenerativeLearner, GenerativeMethod
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Interval, Named, Positive
from manyways.methods.method import Ablations
from manyways.methods.recommendations import Recommendation
from manyways.models.autoencoder import Autoencoder as AutoencoderModel
from manyways.models.autoencoder import AutoencoderNetwork, numbers_of, values_of
from manyways.models.generative.decoders import DECODERS, make_decoder
from manyways.models.generator import drawn
from manyways.models.model import Model
from manyways.models.network import make_network


class AutoencoderLearner(GenerativeLearner):
    """A generative learner of an encoder and a decoder."""

    network: AutoencoderNetwork


@dataclass(frozen=True, kw_only=True)
class Autoencoder(GenerativeMethod[AutoencoderLearner]):
    """Autoencoder: learn a code of few numbers from which rows can be put together again, by their squared error.

    It learns from images or from the cells of a table. With `masked` inputs it is a denoising autoencoder (Vincent et
    al., ICML 2008): it puts together what it has not seen.
    """

    width: Count = 50
    """Numbers of the code."""
    masked: Annotated[float, Interval("[0, 1)")] = 0.0
    """Share of the pixels or cells, drawn anew each time, that are 0 in what the encoder sees; the decoder makes them
    all."""
    backbone: str = "auto"
    """Network of the encoder: auto takes strided convolutions for images, a perceptron for tables; or a name."""
    decoder: Annotated[str, Named(DECODERS, "auto")] = "auto"
    """Network of the decoder of images; auto is convolutional. Tables have a perceptron."""
    learning_rate: Positive = 3e-3
    """The highest learning rate of AdamW, reached after the warm-up."""

    gives: ClassVar = frozenset({"embed", "reconstruct"})
    takes: ClassVar = frozenset({"reconstruct"})
    suggests: ClassVar = ("autoencoder",)
    recommends: ClassVar = {"any": Recommendation("a code that a network learns, which need not be linear", 72)}
    paper: ClassVar = "Hinton & Salakhutdinov, Reducing the dimensionality of data with neural networks, Science 2006"

    field_trials: ClassVar[Mapping[str, Mapping[str, str] | str]] = {"backbone": {"backbone": "flat-perceptron"}}

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(width=8, size=0.25, batch_size=16)

    def ablations(self, data: Data) -> Ablations:
        for column in data.inputs:
            every = np.arange(len(data.columns[column.name]))
            values = column.take(every)
            data = with_values(data, column.name, every, np.broadcast_to(values[:1], values.shape).copy())
        return {"its rows, all equal": (self, data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> AutoencoderLearner:
        if model is not None:
            return self._go_on(data, model, seed)
        encoding = InputEncoding.fit(data)
        _, spec = drawn(encoding)
        rows = encoding.encode(data.training)
        backbone = "strided" if self.backbone == "auto" and isinstance(spec, ImageSpec) else self.backbone
        encoder = make_network(encoding.specs, backbone=backbone, size=self.size, projection=self.width)
        encoder.measure(rows)
        decoder = make_decoder(spec, self.width, 1, architecture=self.decoder, size=self.size)
        network = AutoencoderNetwork(encoder, decoder, numbers_of(spec))
        learner = AutoencoderLearner(network, data, encoding, seed)
        network.centre.copy_(_mean(learner))
        return learner

    def _go_on(self, data: Data, model: Model, seed: int) -> AutoencoderLearner:
        if not isinstance(model, AutoencoderModel):
            raise ParameterError(f"Autoencoder goes on from an autoencoder; {model.lineage.title} is none.")
        import copy

        return AutoencoderLearner(copy.deepcopy(model.network).requires_grad_(True), data, model.inputs, seed)

    def draw(self, learner: AutoencoderLearner, step: int, rng: torch.Generator) -> Batch:
        encoded = learner.take(learner.pick(learner.everything, self.batch_size, step))[learner.modality]
        hidden = (torch.rand(encoded.shape, generator=rng) < self.masked).to(encoded.device)
        return {"values": values_of(encoded), "inputs": {learner.modality: encoded.masked_fill(hidden, 0)}}

    def loss(self, learner: AutoencoderLearner, batch: Batch) -> Loss:
        error = mse_loss(learner.network(batch["inputs"]).float(), batch["values"])
        return error, {"squared_error": error}

    def make_model(self, learner: AutoencoderLearner) -> Model:
        return AutoencoderModel(network=learner.network, inputs=learner.encoding, units=learner.units)


def _mean(learner: AutoencoderLearner) -> Tensor:
    """The mean of the training rows, [numbers]."""
    total = torch.zeros(len(learner.network.centre), dtype=torch.float64)
    for positions in chunks_of(len(learner.everything), 4096):
        total += values_of(learner.rows.batch(positions)[learner.modality]).flatten(1).double().sum(0)
    return (total / max(1, len(learner.everything))).float()
