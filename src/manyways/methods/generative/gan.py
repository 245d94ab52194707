"""Generative adversarial network: one network draws rows, another tells them from real ones."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import ImageSpec
from manyways.data.targets import Target
from manyways.methods.bases.game import Game, Player
from manyways.methods.bases.generative import GenerativeLearner, GenerativeMethod
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.fields import Count, Interval, NotNegative, Positive, Share
from manyways.methods.generative._balance import Balance
from manyways.methods.method import Ablations
from manyways.methods.needs import Classes, lacking
from manyways.models.adversarial_generator import AdversarialGenerator, frequencies
from manyways.models.generative.adversaries import Discriminator, GeneratorNetwork, make_discriminator
from manyways.models.generative.decoders import make_decoder
from manyways.models.generator import drawn
from manyways.models.model import Model
from manyways.training.average import AverageNetwork

LARGEST_OF_PERCEPTRONS = 32
"""Height and width up to which perceptrons draw better images than convolutions after equal time on a CPU."""


def discriminator_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """−E ln D(x) − E ln (1 − D(G(z))), from logits [n]."""
    return softplus(-real).mean() + softplus(drawn).mean()


def generator_loss(drawn: Tensor) -> Tensor:
    """−E ln D(G(z)), from logits [n]: the non-saturating loss of Goodfellow et al. (2014, section 3)."""
    return softplus(-drawn).mean()


def gradient_penalty(logits: Tensor, rows: Tensor) -> Tensor:
    """R1 without its γ/2: the mean of |∇ₓ D(x)|² over real rows (Mescheder et al., ICML 2018, equation 9)."""
    (gradient,) = torch.autograd.grad(logits.sum(), rows, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


class GANLearner(GenerativeLearner):
    """Both players, the average of the generator, and how the game stands."""

    network: GeneratorNetwork

    def __init__(
        self, network: GeneratorNetwork, discriminator: Discriminator, data: Data, encoding: InputEncoding, seed: int,
        target: Target | None, average_decay: float,
    ) -> None:  # fmt: skip
        super().__init__(network, data, encoding, seed)
        self.discriminator, self.target = discriminator, target
        self.average = AverageNetwork(network, average_decay)
        self.balance = Balance()
        self.eligible = self.everything
        self.labels = torch.full((len(self.rows),), -1)
        if target is not None:
            self.eligible = np.flatnonzero(self.training_data.labelled)
            codes = target.encode(self.training_data)
            self.labels = torch.from_numpy(codes)
            for each in (network, self.average.network):
                each.shares.copy_(frequencies(codes[self.eligible], target.width))

    @property
    def recovery(self) -> Balance:
        return self.balance


@dataclass(frozen=True, kw_only=True)
class GAN(GenerativeMethod[GANLearner], Game[GANLearner]):
    """Learn to draw rows that another network, which learns too, cannot tell from real ones.

    The model is the moving average of the generator. Where the game is lost (a loss that is no number, drawn rows that
    are all alike, a discriminator that is always right) training ends, and the last good weights are kept with a
    caution in the model's lineage (`facts["caution"]`).
    """

    latent: Count = 64
    """Latent numbers that a row is drawn from."""
    conditional: bool = False
    """True to draw rows by their class, which can be asked for; then only labelled rows are learned from."""
    penalty: NotNegative = 0.1
    """Weight γ of the discriminator's squared gradient at real rows (R1, Mescheder et al. 2018)."""
    penalty_every: Annotated[int, Interval("[1, 1024]")] = 16
    """The penalty is computed in every so many steps, and counts as much more (Karras et al., StyleGAN2, 2020)."""
    discriminator_rate: Positive = 2.0
    """The discriminator's learning rate as a multiple of the generator's (TTUR, Heusel et al., NeurIPS 2017)."""
    average_decay: Annotated[float, Interval("[0, 1)")] = 0.998
    """Decay of the generator's moving average."""
    architecture: Literal["auto", "convolutional", "perceptron"] = "auto"
    """Networks for images; auto takes perceptrons up to 32 pixels, convolutions above. Tables have perceptrons."""
    batch_size: Count = 64
    """Real rows in a batch, and drawn ones."""
    learning_rate: Positive = 1e-3
    """The highest learning rate of the generator."""
    warmup: Share = 0.0
    """Share of the steps in which the learning rate rises."""
    beta1: Annotated[float, Interval("[0, 1)")] = 0.5
    """Decay of AdamW's first moment; little momentum keeps two players from circling."""
    clip: Positive | None = None
    """Largest norm of the gradient of each player; None does not clip."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Arithmetic of the loss; auto takes bfloat16 where the hardware has matrix units for it."""

    gives: ClassVar = frozenset({"sample"})
    suggests: ClassVar = ("gan",)
    paper: ClassVar = "Goodfellow et al., Generative adversarial nets, NeurIPS 2014"

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        return super().lacks(data, model) or (lacking((Classes,), data) if self.conditional else None)

    def ablations(self, data: Data) -> Ablations:
        return {"a discriminator that learns": (replace(self, discriminator_rate=1e-12), data)}

    def begin(self, data: Data, model: Model | None, seed: int) -> GANLearner:
        encoding = InputEncoding.fit(data)
        _, spec = drawn(encoding)
        target = Target.fit(data) if self.conditional else None
        classes = target.width if target else 0
        architecture = self.architecture
        if architecture == "auto":
            small = isinstance(spec, ImageSpec) and max(spec.height, spec.width) <= LARGEST_OF_PERCEPTRONS
            architecture = "perceptron" if small else "convolutional"
        inputs = self.latent * (2 if classes else 1)
        decoder = make_decoder(spec, inputs, 1, architecture=architecture, size=self.size)
        network = GeneratorNetwork(decoder, spec, self.latent, classes)
        discriminator = make_discriminator(spec, classes, architecture=architecture, size=self.size)
        return GANLearner(network, discriminator, data, encoding, seed, target, self.average_decay)

    def players(self, learner: GANLearner) -> dict[str, Player]:
        return {
            "discriminator": Player(list(learner.discriminator.parameters()), self.discriminator_rate),
            "generator": Player(list(learner.network.parameters())),
        }

    def draw(self, learner: GANLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.eligible, self.batch_size, step)
        real = learner.take(rows)[learner.modality]
        labels = learner.labels[torch.from_numpy(rows)].to(learner.device) if self.conditional else None
        return {
            "real": real.float() / 127.5 - 1 if real.dtype == torch.uint8 else real,
            "latent": torch.randn(len(rows), self.latent, generator=rng).to(learner.device),
            "labels": labels,
            "penalised": bool(self.penalty) and step % self.penalty_every == 0,
        }

    def loss(self, learner: GANLearner, batch: Batch) -> Loss:
        real, labels = batch["real"], batch["labels"]
        if batch["penalised"]:
            real = real.clone().requires_grad_(True) * 1.0  # no leaf: torch's counter of operations trips over those
        drawn = learner.network(batch["latent"], labels)
        said_of_real, said_of_drawn = learner.discriminator(real, labels), learner.discriminator(drawn, labels)
        against = discriminator_loss(said_of_real, said_of_drawn)
        if batch["penalised"]:
            against = against + self.penalty / 2 * self.penalty_every * gradient_penalty(said_of_real, real)
        learner.balance.notice(said_of_real.detach(), said_of_drawn.detach(), real.detach(), drawn.detach())
        parts = {"discriminator": against, "generator": generator_loss(said_of_drawn)}
        return parts["discriminator"] + parts["generator"], {**parts, "told apart": learner.balance.told_apart}

    def after(self, learner: GANLearner, step: int) -> None:
        learner.average.follow(learner.network, step)

    def make_model(self, learner: GANLearner) -> Model:
        network = learner.average.network
        return AdversarialGenerator(
            network=network, inputs=learner.encoding, units=learner.units, condition=learner.target
        )

    def rows_reached(self, learner: GANLearner, steps: int) -> NDArray[np.bool_]:
        reached = super().rows_reached(learner, steps)
        return reached & learner.data.labelled if self.conditional else reached

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, betas=(self.beta1, self.beta2), fused=True)

    def period(self) -> int:
        return self.penalty_every if self.penalty else 1
