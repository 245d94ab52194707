"""LinearStreamHead: one affine map of standardised features, as OnlineSGD learns it."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.models.streams.head import StreamHead, logits_of_seen, require


class State(NamedTuple):
    """State of a linear learner; the last five as `Tallies`.

    mean, variance: float64 [width], running. weight, bias: float64 [outputs, width] and [outputs]. seen: uint8
    [outputs], whether a row had the class.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    seen: NDArray[np.uint8]
    counts: NDArray[Any]
    numbers: NDArray[Any]
    levels: NDArray[np.int64]
    totals: NDArray[np.float64]
    spreads: NDArray[np.float64]


class LinearStreamHead(StreamHead):
    """One affine map of features that are standardised as they were on the way, and the state of its learner.

    `standardise` False takes features as they are.
    """

    name = "stream"
    method = "online-sgd"
    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor
    seen: Tensor

    def __init__(
        self,
        width: int,
        outputs: int,
        classes: bool,
        standardise: bool = True,
        detector: str = "none",
        drifts: int = 0,
        windows: int = 0,
    ) -> None:
        config = {"width": width, "outputs": outputs, "standardise": standardise}
        super().__init__(config, classes, detector, drifts, windows)
        self.standardise = standardise
        double = torch.float64
        self.register_buffer("mean", torch.zeros(width, dtype=double))
        self.register_buffer("variance", torch.zeros(width, dtype=double))
        self.register_buffer("weight", torch.zeros(outputs, width, dtype=double))
        self.register_buffer("bias", torch.zeros(outputs, dtype=double))
        self.register_buffer("seen", torch.zeros(outputs, dtype=torch.uint8))

    @property
    def state(self) -> State:
        own = ("mean", "variance", "weight", "bias", "seen")
        return State(**{name: getattr(self, name).numpy() for name in own}, **self.tallies)

    def check(self) -> None:
        super().check()
        first, second = self.counts[2:4].tolist()
        require(-1 <= first < len(self.bias) and -1 <= second < len(self.bias), "classes")

    def forward(self, features: Tensor) -> Tensor:
        values = features.double()
        if self.standardise:
            varied = self.variance > 0
            values = (values - self.mean) * torch.where(varied, self.variance, 1.0).rsqrt() * varied
        outputs = values @ self.weight.T + self.bias
        return (logits_of_seen(outputs, self.seen) if self.classes else outputs).float()
