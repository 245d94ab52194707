"""Weak and strong views of batches of stretches of series."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.encoders.series import SeriesSpec
from manyways.data.views.base import View
from manyways.data.views.ranges import gaussian, integers, require_range, require_shape


@dataclass(frozen=True)
class SeriesWeak(View):
    """A little Gaussian noise on every value.

    noise: standard deviation in units of that of the stretch, in [0, 1].
    Takes and gives float64 [B, channels, steps].
    """

    name: ClassVar = "series-weak"
    spec: SeriesSpec
    noise: float = 0.02

    def __post_init__(self) -> None:
        require_range(self, 0, 1, "noise")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, *self.spec.shape)
        return batch + self.noise * batch.std(dim=2, keepdim=True, correction=0) * gaussian(rng, batch).to(batch.dtype)


@dataclass(frozen=True)
class SeriesStrong(SeriesWeak):
    """The weak view with more noise, and one run of steps in which every series is at its mean.

    noise: as for `SeriesWeak`.
    mask: longest run as a share of the stretch, in [0, 1].
    """

    name: ClassVar = "series-strong"
    noise: float = 0.1
    mask: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, 0, 1, "mask")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        noisy = super().__call__(batch, rng)
        steps = self.spec.steps
        lengths = integers(rng, len(batch), 0, int(self.mask * steps), batch.device)
        starts = (torch.rand(len(batch), generator=rng, device=rng.device).to(batch.device) * (steps - lengths)).long()
        place = torch.arange(steps, device=batch.device)
        hidden = (place >= starts[:, None]) & (place < (starts + lengths)[:, None])
        return torch.where(hidden[:, None], batch.mean(dim=2, keepdim=True), noisy)
