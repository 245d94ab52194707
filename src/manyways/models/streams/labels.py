"""Heads that look at no input: the last label of a stream, or the most frequent class and the mean so far."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.models.streams.head import UNSEEN, StreamHead, logits_of_seen, require

LEAST_SHARE = 1e-6


class LabelState(NamedTuple):
    """State of a learner that looks at labels alone; the last five as `Tallies`. last: float64 [1], -1 before."""

    last: NDArray[np.float64]
    counts: NDArray[Any]
    numbers: NDArray[Any]
    levels: NDArray[np.int64]
    totals: NDArray[np.float64]
    spreads: NDArray[np.float64]


class LabelHead(StreamHead):
    """The last label of a stream, which is predicted for each row: the code of a class, or a number."""

    name = "stream-label"
    method = "no-change"
    last_label: Tensor

    def __init__(self, outputs: int, classes: bool, detector: str = "none", drifts: int = 0, windows: int = 0) -> None:
        super().__init__({"outputs": outputs}, classes, detector, drifts, windows)
        self.register_buffer("last_label", torch.zeros(1, dtype=torch.float64))
        self.last_label[0] = -1.0 if classes else 0.0

    @property
    def state(self) -> LabelState:
        return LabelState(last=self.last_label.numpy(), **self.tallies)

    def check(self) -> None:
        super().check()
        if self.classes:
            require(float(self.last_label[0]) in range(-1, self.config["outputs"]), "classes")

    def forward(self, features: Tensor) -> Tensor:
        outputs = torch.zeros(len(features), self.config["outputs"])
        if not self.classes:
            return outputs + self.last_label.float()
        if (last := int(self.last_label[0])) >= 0:
            outputs[:, last] = UNSEEN
        return outputs


class MajorityState(NamedTuple):
    """State of a learner of frequencies; the last five as `Tallies`. weights: float64 [outputs], rows of each class.

    For a number the one output is the sum of the labels.
    """

    weights: NDArray[np.float64]
    counts: NDArray[Any]
    numbers: NDArray[Any]
    levels: NDArray[np.int64]
    totals: NDArray[np.float64]
    spreads: NDArray[np.float64]


class RunningMajorityHead(StreamHead):
    """The shares of the classes of a stream, or the mean of its numbers, for each row."""

    name = "stream-majority"
    method = "running-majority"
    weights: Tensor

    def __init__(self, outputs: int, classes: bool, detector: str = "none", drifts: int = 0, windows: int = 0) -> None:
        super().__init__({"outputs": outputs}, classes, detector, drifts, windows)
        self.register_buffer("weights", torch.zeros(outputs, dtype=torch.float64))

    @property
    def state(self) -> MajorityState:
        return MajorityState(weights=self.weights.numpy(), **self.tallies)

    def forward(self, features: Tensor) -> Tensor:
        rows = max(1, int(self.counts[0]))
        if not self.classes:
            return (self.weights / rows).float().expand(len(features), -1)
        shares = (self.weights / rows).clamp_min(LEAST_SHARE).log()
        return logits_of_seen(shares.expand(len(features), -1), self.weights > 0).float()
