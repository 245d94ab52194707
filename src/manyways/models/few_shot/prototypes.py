"""Prototypes: a class is the mean of its examples (Snell, Swersky & Zemel, NeurIPS 2017)."""

from typing import ClassVar

import torch
from torch import Tensor

from manyways.models.heads import Head


def prototypes(features: Tensor) -> Tensor:
    """The mean of each class: features [..., ways, shots, width] to [..., ways, width]."""
    return features.mean(-2)


def nearness(queries: Tensor, centres: Tensor) -> Tensor:
    """−‖q − c‖²: logits [..., queries, ways] of queries [..., queries, width] and centres [..., ways, width]."""
    return -(queries[..., :, None, :] - centres[..., None, :, :]).square().sum(-1)


class PrototypeHead(Head):
    """Head of the nearest prototype (Snell et al. 2017): `centres` [outputs, width] are the prototypes."""

    name: ClassVar[str] = "prototypes"
    centres: Tensor

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.config = {"width": width, "outputs": outputs}
        self.register_buffer("centres", torch.zeros(outputs, width))

    def forward(self, features: Tensor) -> Tensor:
        # As `nearness`, but no [rows, outputs, width] in memory, and no row's answer follows from those beside it.
        return -torch.cdist(features, self.centres, compute_mode="donot_use_mm_for_euclid_dist").square()
