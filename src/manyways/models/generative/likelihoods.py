"""Likelihoods of values, given the outputs of a decoder."""

from collections.abc import Sequence
from math import log, pi
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manyways.data.specs import ImageSpec, TableSpec
from manyways.errors import ParameterError
from manyways.registry import Classes

SMALLEST_LOG_SCALE = -7.0
"""Scale of the logistic distribution of a pixel, in units of half the range of pixels."""
SMALLEST_DEVIATION = 0.01
"""Scale of a standardised number of a table: one that is constant could be as probable as one likes."""


class Likelihood(nn.Module):
    """p(x | raw): the probability of rows, given the raw outputs of a decoder.

    A subclass has a `name`, found in `LIKELIHOODS`, a `config` of JSON values that its constructor takes, and
    `outputs`: how many raw outputs it wants for each value.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    """The kinds of `Spec` whose rows it is of."""
    config: dict[str, Any]
    outputs: int = 1

    @classmethod
    def for_spec(cls, spec: ImageSpec | TableSpec) -> "Likelihood":
        """A new likelihood for rows like `spec`."""
        return cls()

    def log_probability(self, raw: Tensor, values: Tensor) -> Tensor:
        """Log-probability ln p(values | raw) in nats, [n]; values as `observed` gives them."""
        raise NotImplementedError

    def observed(self, encoded: Tensor, chance: Tensor) -> Tensor:
        """Encoded rows as the values that are modelled; `chance` in [0, 1), of the same shape, decides what is open."""
        raise NotImplementedError

    def encoder_inputs(self, values: Tensor, encoded: Tensor) -> Tensor:
        """Inputs of the encoder: a row as encoded, or those `values` that `observed` made of it."""
        return encoded

    def mean(self, raw: Tensor) -> Tensor:
        """Expected values, as rows are encoded."""
        raise NotImplementedError

    def draw(self, raw: Tensor, rng: torch.Generator) -> Tensor:
        """Rows drawn from p(x | raw), as they are encoded."""
        raise NotImplementedError


LIKELIHOODS: Classes[Likelihood] = Classes("likelihoods", Likelihood, "manyways.models.generative.likelihoods")
"""Likelihoods by their names: those of this file, and of the entry-point group `manyways.likelihoods`."""


class Bernoulli(Likelihood):
    """Pixels that are black or white; a grey one is white as probably as it is bright, drawn anew each time it is seen.

    Source: Salakhutdinov & Murray, On the quantitative analysis of deep belief networks, ICML 2008.
    """

    name = "bernoulli"

    def __init__(self) -> None:
        super().__init__()
        self.config = {}

    def log_probability(self, raw: Tensor, values: Tensor) -> Tensor:
        lost = F.binary_cross_entropy_with_logits(raw.float(), values.expand_as(raw), reduction="none")
        return -lost.flatten(1).sum(1)

    def observed(self, encoded: Tensor, chance: Tensor) -> Tensor:
        return (chance < encoded.float() / 255).float()

    def encoder_inputs(self, values: Tensor, encoded: Tensor) -> Tensor:
        return values

    def mean(self, raw: Tensor) -> Tensor:
        return (raw.float().sigmoid() * 255).round().to(torch.uint8)

    def draw(self, raw: Tensor, rng: torch.Generator) -> Tensor:
        chance = torch.rand(raw.shape, generator=rng).to(raw.device)
        return (chance < raw.float().sigmoid()).to(torch.uint8) * 255


class DiscretisedLogistic(Likelihood):
    """Pixels 0 … 255, each with the share of a logistic distribution that falls to it; the ends get what lies beyond.

    Location and scale are the decoder's, for every pixel its own (Salimans et al., PixelCNN++, ICLR 2017, with one
    component).
    """

    name = "logistic"
    outputs = 2

    def __init__(self) -> None:
        super().__init__()
        self.config = {}

    def log_probability(self, raw: Tensor, values: Tensor) -> Tensor:
        location, log_scale = _located(raw)
        inverse = (-log_scale).exp()
        centred = values - location
        above, below = inverse * (centred + 1 / 255), inverse * (centred - 1 / 255)
        inside = (above.sigmoid() - below.sigmoid()).clamp_min(1e-12).log()
        # ln of the density in the middle times the width, where the difference of two sigmoids is lost to rounding.
        middle = inverse * centred
        density = middle - log_scale - 2 * F.softplus(middle) + log(2 / 255)
        inside = torch.where(above.sigmoid() - below.sigmoid() > 1e-5, inside, density)
        lowest, highest = above - F.softplus(above), -F.softplus(below)
        found = torch.where(values < -0.999, lowest, torch.where(values > 0.999, highest, inside))
        return found.flatten(1).sum(1)

    def observed(self, encoded: Tensor, chance: Tensor) -> Tensor:
        return encoded.float() / 127.5 - 1

    def mean(self, raw: Tensor) -> Tensor:
        location, _ = _located(raw)
        return _pixels(location)

    def draw(self, raw: Tensor, rng: torch.Generator) -> Tensor:
        location, log_scale = _located(raw)
        chance = torch.rand(location.shape, generator=rng).clamp(1e-5, 1 - 1e-5).to(raw.device)
        return _pixels(location + log_scale.exp() * (chance.log() - (1 - chance).log()))


class TableLikelihood(Likelihood):
    """Rows of a table: standardised numbers are Gaussian, each with a deviation of its own; categories categorical.

    A category that is all zeros in the encoding is one that training did not see; it has no probability, and is left
    out of the sum.
    """

    name = "table"
    kinds = ("table",)

    def __init__(self, width: int, groups: Sequence[Sequence[int]], numeric: Sequence[int]) -> None:
        super().__init__()
        self.config = {"width": width, "groups": [list(group) for group in groups], "numeric": list(numeric)}
        numbers = {groups[at][0] for at in numeric}
        self.numbers = sorted(numbers)
        self.categories = [(start, stop) for start, stop in groups if start not in numbers]
        self.log_deviation = nn.Parameter(torch.zeros(len(self.numbers)))

    @classmethod
    def for_spec(cls, spec: ImageSpec | TableSpec) -> "TableLikelihood":
        if isinstance(spec, ImageSpec):
            raise ParameterError("The likelihood of rows of a table has no images; take bernoulli or logistic.")
        return cls(spec.width, spec.groups, spec.numeric)

    @property
    def deviation(self) -> Tensor:
        """The deviation of each number, [numbers]."""
        return self.log_deviation.exp().clamp_min(SMALLEST_DEVIATION)

    def log_probability(self, raw: Tensor, values: Tensor) -> Tensor:
        raw, values = raw.float(), values.expand_as(raw)
        deviation = self.deviation
        standard = (values[:, self.numbers] - raw[:, self.numbers]) / deviation
        found = (-0.5 * standard.square() - deviation.log() - 0.5 * log(2 * pi)).sum(1)
        for start, stop in self.categories:
            found = found + (raw[:, start:stop].log_softmax(1) * values[:, start:stop]).sum(1)
        return found

    def observed(self, encoded: Tensor, chance: Tensor) -> Tensor:
        return encoded

    def mean(self, raw: Tensor) -> Tensor:
        found = raw.float().clone()
        for start, stop in self.categories:
            found[:, start:stop] = F.one_hot(raw[:, start:stop].argmax(1), stop - start).to(found)
        return found

    def draw(self, raw: Tensor, rng: torch.Generator) -> Tensor:
        drawn = raw.float().clone()
        noise = torch.randn(len(raw), len(self.numbers), generator=rng).to(raw.device)
        drawn[:, self.numbers] += self.deviation * noise
        for start, stop in self.categories:
            # The largest of logits with Gumbel noise is a draw from their softmax.
            gumbel = -torch.empty(len(raw), stop - start).exponential_(generator=rng).log().to(raw.device)
            chosen = (raw[:, start:stop].float() + gumbel).argmax(1)
            drawn[:, start:stop] = F.one_hot(chosen, stop - start).to(drawn)
        return drawn


def make_likelihood(spec: ImageSpec | TableSpec, name: str, *, black_and_white: bool) -> Likelihood:
    """A new likelihood for rows like `spec`.

    Args:
        spec: The rows.
        name: A name in `LIKELIHOODS`; "auto", and one of other rows, is the kind's own: of images Bernoulli where all
            pixels are black or white, else discretised logistic.
        black_and_white: True if all pixels are.
    """
    usual = "table" if isinstance(spec, TableSpec) else "bernoulli" if black_and_white else "logistic"
    kind = LIKELIHOODS.find(usual if name == "auto" else name)
    return (kind if spec.kind in kind.kinds else LIKELIHOODS.find(usual)).for_spec(spec)


def _located(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Location and ln scale of each pixel, from raw outputs [n, 2 · channels, height, width]."""
    location, log_scale = raw.float().chunk(2, dim=1)
    # So that at first the scale is a tenth of the range, wherever the decoder's last layer begins.
    return location, (log_scale - 2).clamp(SMALLEST_LOG_SCALE, 3.0)


def _pixels(located: Tensor) -> Tensor:
    return ((located + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
