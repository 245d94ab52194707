"""NeighboursHead: the newest rows of a stream, and the predictions of those nearest to a row."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.models.streams.head import StreamHead, logits_of_seen, require

LEAST_SHARE = 1e-6
TOGETHER = 1024
"""Rows whose neighbours are looked up at a time."""


class NeighboursState(NamedTuple):
    """State of a learner of neighbours; the last five as `Tallies`.

    mean, variance: float64 [width], running. seen: uint8 [outputs]. memory: float64 [width, room], the rows in the
    order in which they came; labels: float64 [room], class codes or numbers; span: int64 [2], where those that are
    remembered begin and end.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    seen: NDArray[np.uint8]
    memory: NDArray[np.float64]
    labels: NDArray[np.float64]
    span: NDArray[np.int64]
    counts: NDArray[Any]
    numbers: NDArray[Any]
    levels: NDArray[np.int64]
    totals: NDArray[np.float64]
    spreads: NDArray[np.float64]


class NeighboursHead(StreamHead):
    """The `rows` newest rows of a stream, of which the `neighbours` nearest ones say what to predict.

    `by_distance`: each counts by one over its distance. `standardise`: distances are of inputs by their standard
    deviation.
    """

    name = "stream-neighbours"
    method = "sliding-window-neighbours"
    mean: Tensor
    variance: Tensor
    seen: Tensor
    memory: Tensor
    labels: Tensor

    def __init__(
        self, width: int, outputs: int, classes: bool, neighbours: int, by_distance: bool, standardise: bool,
        rows: int = 0, detector: str = "none", drifts: int = 0, windows: int = 0,
    ) -> None:  # fmt: skip
        config = {"width": width, "outputs": outputs, "neighbours": neighbours, "by_distance": by_distance,
                  "standardise": standardise, "rows": rows}  # fmt: skip
        super().__init__(config, classes, detector, drifts, windows)
        self.neighbours, self.by_distance, self.standardise = neighbours, by_distance, standardise
        double = torch.float64
        self.register_buffer("mean", torch.zeros(width, dtype=double))
        self.register_buffer("variance", torch.zeros(width, dtype=double))
        self.register_buffer("seen", torch.zeros(outputs, dtype=torch.uint8))
        self.register_buffer("memory", torch.zeros(width, rows, dtype=double))
        self.register_buffer("labels", torch.zeros(rows, dtype=double))

    @property
    def state(self) -> NeighboursState:
        own = ("mean", "variance", "seen", "memory", "labels")
        span = np.array([0, len(self.labels)], np.int64)
        return NeighboursState(**{name: getattr(self, name).numpy() for name in own}, span=span, **self.tallies)

    def check(self) -> None:
        super().check()
        codes = self.labels.numpy()
        if self.classes:
            require(bool(((codes >= 0) & (codes < len(self.seen)) & (codes == np.floor(codes))).all()), "classes")
        require(self.neighbours > 0, "numbers of neighbours")

    def forward(self, features: Tensor) -> Tensor:
        parts = [self._outputs(part) for part in torch.split(features.double(), TOGETHER)]
        return torch.cat(parts).float() if parts else torch.zeros(0, self.config["outputs"])

    def _outputs(self, rows: Tensor) -> Tensor:
        """The outputs for some rows [rows, outputs]."""
        outputs = self.config["outputs"]
        if not len(self.labels):
            return torch.zeros(len(rows), outputs, dtype=torch.float64)
        scale = torch.where(self.variance > 0, self.variance, torch.inf).rsqrt() if self.standardise else 1.0
        apart = torch.cdist(rows * scale, self.memory.T * scale, compute_mode="donot_use_mm_for_euclid_dist")
        distances, order = apart.sort(dim=1, stable=True)
        distances, labels = distances[:, : self.neighbours], self.labels[order[:, : self.neighbours]]
        weights = torch.ones_like(distances)
        if self.by_distance:
            exact = distances[:, :1] == 0
            first = torch.zeros_like(weights)
            first[:, 0] = 1.0
            weights = torch.where(exact, first, 1.0 / torch.where(distances > 0, distances, 1.0))
        if not self.classes:
            return (weights * labels).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        votes = torch.zeros(len(rows), outputs, dtype=torch.float64).scatter_add_(1, labels.long(), weights)
        shares = votes / votes.sum(1, keepdim=True)
        return logits_of_seen(shares.clamp_min(LEAST_SHARE).log(), self.seen)
