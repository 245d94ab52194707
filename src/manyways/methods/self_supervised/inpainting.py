"""Inpainting: an image is painted whole again where a block was taken out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.data.specs import ImageSpec
from manyways.data.views.images import as_float
from manyways.data.views.ranges import integers
from manyways.methods.ablations import with_values
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.self_supervised import SelfSupervised
from manyways.methods.fields import Count, Interval
from manyways.methods.method import Ablations
from manyways.methods.needs import Images, Input
from manyways.methods.recommendations import Recommendation
from manyways.models.backbones.base import Backbone, ImageBackbone, require_kind
from manyways.models.generative.decoders import make_decoder
from manyways.models.model import Model
from manyways.models.network import Inputs
from manyways.training.learner import RowLearner

SMALLEST_BLOCK = 2


class InpaintingLearner(RowLearner):
    """A learner of images, and the decoders that paint those of each input; they are dropped afterwards."""

    painters: nn.ModuleList


@dataclass(frozen=True, kw_only=True)
class Inpainting(SelfSupervised[InpaintingLearner]):
    """Context encoder: paint a block that was taken out of an image from what is around it."""

    batch_size: Count = 64
    """Rows in a batch."""
    share: Annotated[float, Interval("(0, 1)")] = 0.25
    """Share of the image that is taken out."""
    region: Literal["random", "centre"] = "random"
    """The place of the block: another for every image, or the centre."""

    needs: ClassVar = (Input, Images)
    gives: ClassVar = frozenset({"embed"})
    takes: ClassVar = frozenset({"embed"})
    suggests: ClassVar = ("inpainting >> fine-tune",)
    recommends: ClassVar = {"any": Recommendation("features are learned first by painting what is missing", 84)}
    paper: ClassVar = "Pathak et al., Context encoders: Feature learning by inpainting, CVPR 2016"

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16)

    def ablations(self, data: Data) -> Ablations:
        """Images of one colour, which say nothing of a block."""
        for image in data.inputs:
            pixels = image.take(every := np.arange(len(image)))
            flat = np.broadcast_to(pixels[:, :, :1, :1], pixels.shape)
            data = with_values(data, image.name, every, flat)
        return {"what is around a block": (self, data)}

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        for image in data.inputs:
            height, width = image.values.shape[2:]
            if min(self.block(height, width)) < SMALLEST_BLOCK or min(height, width) <= SMALLEST_BLOCK:
                return (
                    f"a block of share={self.share:g} has less than {SMALLEST_BLOCK} pixels a side in the images of "
                    f"{image.name!r}, which have {height} × {width}. Take out more, or read larger ones: image_size=32."
                )
        return None

    def begin(self, data: Data, model: Model | None, seed: int) -> InpaintingLearner:
        learner = super().begin(data, model, seed)
        learner.painters = nn.ModuleList(
            make_decoder(require_kind(spec, ImageSpec, name), learner.network.width, 1, size=self.size)
            for name, spec in learner.encoding.specs.items()
        )
        return learner

    def draw(self, learner: InpaintingLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.take(learner.pick(learner.everything, self.batch_size, step))
        return self.taken_out(learner, learner.views.weak(rows, rng), rng)

    def taken_out(self, learner: InpaintingLearner, inputs: Inputs, rng: torch.Generator) -> Batch:
        """Images with a block of the mean colour, the standardised whole ones, and the masks of the blocks."""
        cut, whole, hidden = {}, {}, {}
        for name, part in zip(learner.network.names, learner.network.parts, strict=True):
            images, (level, spread) = as_float(inputs[name]), statistics_of(part, learner.device)
            hidden[name] = self.blocks(images, rng)
            cut[name] = torch.where(hidden[name], level, images)
            whole[name] = (images - level) / spread
        return {"inputs": cut, "whole": whole, "hidden": hidden}

    def block(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a block in an image of such a size."""
        return round(height * self.share**0.5), round(width * self.share**0.5)

    def blocks(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Masks of a block of each image, bool [rows, 1, height, width]."""
        rows, _, height, width = images.shape
        high, wide = self.block(height, width)
        if self.region == "centre":
            top, left = (torch.full((rows,), (side - shown) // 2) for side, shown in ((height, high), (width, wide)))
        else:
            top = integers(rng, rows, 0, height - high, torch.device("cpu"))
            left = integers(rng, rows, 0, width - wide, torch.device("cpu"))
        down, right = torch.arange(height), torch.arange(width)
        lines = (down >= top[:, None]) & (down < top[:, None] + high)
        columns = (right >= left[:, None]) & (right < left[:, None] + wide)
        return (lines[:, None, :, None] & columns[:, None, None, :]).to(images.device)

    def loss(self, learner: InpaintingLearner, batch: Batch) -> Loss:
        errors = [error[hidden.expand_as(error)].mean() for _, error, hidden in self.painted(learner, batch)]
        return torch.stack(errors).mean(), {}

    def painted(self, learner: InpaintingLearner, batch: Batch) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of each input the images, the squared errors of what is painted, and the masks of the blocks."""
        features = learner.network.features(batch["inputs"])
        painted = []
        for name, painter in zip(learner.network.names, learner.painters, strict=True):
            whole = batch["whole"][name]
            painted.append((whole, (painter(features).float() - whole).square(), batch["hidden"][name]))
        return painted

    def pretext(self, learner: InpaintingLearner, inputs: Inputs, rng: torch.Generator) -> Mapping[str, float]:
        """The share of the variance of taken out pixels that is painted; 0: no better than the mean of all images."""
        error = variance = 0.0
        for whole, errors, hidden in self.painted(learner, self.taken_out(learner, inputs, rng)):
            error += float((errors * hidden).sum())
            variance += float(((whole - whole.mean(0)).square() * hidden).sum())
        return {"explained_variance": 1 - error / max(variance, 1e-6)}


def statistics_of(part: Backbone, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the channels that `part` standardises by, float32 [channels, 1, 1]."""
    if isinstance(part, ImageBackbone):
        return part.mean[:, None, None], part.std[:, None, None]
    half = torch.full((1, 1, 1), 0.5, device=device)
    return half, half
