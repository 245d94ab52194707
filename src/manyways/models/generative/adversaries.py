"""The two players of a generative adversarial network."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, Spec, TableSpec, spec_from_json, spec_to_json
from manyways.errors import ModelError
from manyways.models.backbones._layers import channels_last
from manyways.models.backbones.base import scaled_width
from manyways.models.generative.decoders import DECODERS, Decoder

SLOPE = 0.2
SMALLEST_SIDE = 8


class GeneratorNetwork(nn.Module):
    """Latent numbers, and a class where there are some, to rows: pixels in [-1, 1], or a table as it is encoded.

    Attributes:
        shares: Frequency of each class in training; empty without classes.
    """

    shares: Tensor

    def __init__(self, decoder: Decoder, spec: ImageSpec | TableSpec, latent: int, classes: int = 0) -> None:
        super().__init__()
        self.decoder, self.spec, self.latent, self.classes = decoder, spec, latent, classes
        self.names = nn.Embedding(classes, latent) if classes else None
        self.register_buffer("shares", torch.full((classes,), 1 / max(1, classes)))

    def forward(self, latent: Tensor, classes: Tensor | None = None) -> Tensor:
        if self.names is not None:
            latent = torch.cat([latent, self.names(classes)], dim=1)
        raw: Tensor = self.decoder(latent)
        if isinstance(self.spec, ImageSpec):
            return raw.tanh()
        parts = [
            raw[:, start:stop] if at in self.spec.numeric else raw[:, start:stop].softmax(1)
            for at, (start, stop) in enumerate(self.spec.groups)
        ]
        return torch.cat(parts, dim=1)

    def encoded(self, rows: Tensor) -> Tensor:
        """Rows as this network gives them as they are encoded: bytes, or a category that is one."""
        if isinstance(self.spec, ImageSpec):
            return ((rows + 1) * 127.5).round().to(torch.uint8)
        parts = rows.clone()
        for at, (start, stop) in enumerate(self.spec.groups):
            if at not in self.spec.numeric:
                parts[:, start:stop] = F.one_hot(rows[:, start:stop].argmax(1), stop - start).to(rows)
        return parts

    def config(self) -> dict[str, Any]:
        """JSON values from which `rebuild` makes the same architecture."""
        return {
            "decoder": {"name": self.decoder.name, **self.decoder.config},
            "spec": spec_to_json(self.spec),
            "latent": self.latent,
            "classes": self.classes,
        }

    @staticmethod
    def rebuild(saved: Mapping[str, Any]) -> "GeneratorNetwork":
        """The architecture that `config` described, with random weights.

        Raises:
            ModelError: It does not fit.
        """
        spec = spec_from_json(saved["spec"])
        if not isinstance(spec, ImageSpec | TableSpec):
            raise ModelError(f"A generator draws images or tables; the saved one draws {spec.kind}.")
        return GeneratorNetwork(DECODERS.rebuild(saved["decoder"]), spec, saved["latent"], saved["classes"])


class Discriminator(nn.Module):
    """Rows to a logit, which is positive where they are taken for real; with classes, for real rows of theirs.

    Leaky rectifiers, and no normalisation, so that what it says of a row depends on that row alone, as its gradient
    penalty wants it. Classes come in by projection (Miyato & Koyama, ICLR 2018).
    """

    def __init__(self, body: nn.Module, width: int, classes: int = 0) -> None:
        super().__init__()
        self.body, self.last = body, nn.Linear(width, 1)
        self.names = nn.Embedding(classes, width) if classes else None
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, SLOPE)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, rows: Tensor, classes: Tensor | None = None) -> Tensor:
        """Logits [n]."""
        features = self.body(channels_last(rows) if rows.ndim == 4 else rows)
        logits: Tensor = self.last(features)[:, 0]
        return logits if self.names is None else logits + (self.names(classes) * features).sum(1)


def make_discriminator(spec: Spec, classes: int, *, architecture: str, size: float) -> Discriminator:
    """A new discriminator of rows like `spec`."""
    if isinstance(spec, TableSpec):
        width = scaled_width(128, size)
        return Discriminator(_perceptron([spec.width, width, width]), width, classes)
    assert isinstance(spec, ImageSpec)
    width = scaled_width(128, size)
    if architecture == "perceptron":
        pixels = spec.channels * spec.height * spec.width
        return Discriminator(_perceptron([pixels, 2 * width, width]), width, classes)
    rows, columns, widths = spec.height, spec.width, [spec.channels]
    while len(widths) < 2 or (max(rows, columns) > SMALLEST_SIDE and min(rows, columns) > 1):
        rows, columns = rows // 2, columns // 2
        widths.append(scaled_width(16 * 2 ** min(len(widths) - 1, 4), size))
    stages = [part for pair in pairwise(widths) for part in (nn.Conv2d(*pair, 4, 2, 1), nn.LeakyReLU(SLOPE))]
    flat = [nn.Flatten(), nn.Linear(widths[-1] * rows * columns, width), nn.LeakyReLU(SLOPE)]
    return Discriminator(nn.Sequential(*stages, *flat), width, classes)


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    layers = [part for pair in pairwise(widths) for part in (nn.Linear(*pair), nn.LeakyReLU(SLOPE))]
    return nn.Sequential(nn.Flatten(), *layers)
