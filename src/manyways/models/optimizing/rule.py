"""The learned rule: from a gradient and its moments to a step, for each parameter by itself."""

import math
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

DECAYS = (0.5, 0.9, 0.99)
"""Of the first moments; that of `NOMINAL` is the one whose direction the rule begins with."""
NOMINAL = 1
SECOND_DECAY = 0.99
TIMES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Steps at which the features of time turn over (Metz et al. 2020)."""
EPSILON = 1e-8
FIRST_RATE = 3e-3
"""Rate η of a new rule."""
WIDEST = 4.0
"""The learned factor of a step's size is between e⁻⁴ and e⁴."""


class Moments(NamedTuple):
    """The state of the parameters between steps: first moments [decays, …], and the second one […]."""

    first: Tensor
    second: Tensor

    @staticmethod
    def zeros(weights: Tensor) -> "Moments":
        """Those before the first step."""
        return Moments(weights.new_zeros(len(DECAYS), *weights.shape), torch.zeros_like(weights))

    def after(self, gradient: Tensor) -> "Moments":
        """Those after a step with this gradient."""
        decays = torch.tensor(DECAYS, dtype=gradient.dtype, device=gradient.device)
        decays = decays.view(-1, *[1] * gradient.ndim)
        first = decays * self.first + (1 - decays) * gradient
        return Moments(first, SECOND_DECAY * self.second + (1 - SECOND_DECAY) * gradient.square())


class Step(NamedTuple):
    """All that the rule reads of some parameters: gradient, values, moments, and the number of the step, from 1."""

    gradient: Tensor
    weights: Tensor
    moments: Moments
    number: int


class UpdateRule(nn.Module):
    """A perceptron from features of a parameter's gradient to its step (Metz et al. 2020).

    With m̂ and v̂ the moments without their bias, the step is −η · e^s · (m̂ / √v̂ + d): η is learned, and d and s are
    the outputs, of the gradient and the moments by √v̂, the value and the time. d and s begin at 0, so that the rule
    begins as Adam at the rate η (a nominal term, Harrison, Metz & Sohl-Dickstein 2022).
    """

    config: dict[str, Any]
    features: ClassVar[int] = len(DECAYS) + len(TIMES) + 3

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.config = {"hidden": hidden}
        self.layers = nn.Sequential(
            nn.Linear(self.features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.log_rate = nn.Parameter(torch.tensor(math.log(FIRST_RATE)))

    def forward(self, step: Step) -> Tensor:
        """The change of the weights."""
        corrections = [1 - decay**step.number for decay in DECAYS]
        second = step.moments.second / (1 - SECOND_DECAY**step.number)
        scale = (second + EPSILON**2).rsqrt()
        moments = [first * scale / by for first, by in zip(step.moments.first, corrections, strict=True)]
        times = [math.tanh(math.log(step.number / time)) for time in TIMES]
        own = [step.gradient * scale, *moments, step.weights, scale.log() / 10]
        clock = torch.tensor(times, dtype=scale.dtype, device=scale.device).expand(*scale.shape, -1)
        features = torch.cat([torch.stack(own, -1).clamp(-10, 10), clock], -1)
        direction, size = self.layers(features).unbind(-1)
        factor = (WIDEST * (size / WIDEST).tanh() + self.log_rate).exp()
        change: Tensor = -factor * (moments[NOMINAL] + direction)
        return change
