"""Backbones that embed patches one by one before they mix them: what masked encoders need."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from manyways.models.backbones.base import Backbone


class PatchBackbone(Backbone):
    """A transformer over patches: `tokens` are `encoded(embedded(patch_values(x)))`.

    Between the steps some patches may be left out, as a masked autoencoder does (`visible`), or replaced by another
    vector, as wav2vec does.
    """

    grid: tuple[int, ...]
    """The layout of the patches of a sequence: (length,), or (rows, columns)."""

    @abstractmethod
    def patch_values(self, x: Tensor) -> Tensor:
        """The standardised values of the patches of an encoded batch, [sequences, positions, values]."""

    @abstractmethod
    def embedded(self, patches: Tensor) -> Tensor:
        """Patches [sequences, positions, values] embedded with their positions, [sequences, positions, width]."""

    @abstractmethod
    def encoded(self, hidden: Tensor) -> Tensor:
        """Features [sequences, positions, width] of embedded patches, of any number of positions."""

    def visible(self, patches: Tensor, mask: "PatchMask") -> Tensor:
        """Features of the visible patches alone, [sequences, visible, width]; the others are never looked at."""
        return self.encoded(mask.kept_of(self.embedded(patches)))


@dataclass(frozen=True)
class PatchMask:
    """The patches of each sequence that an encoder may see.

    Attributes:
        order: All positions in a random order, int64 [sequences, positions]; those that come first are visible.
        visible: Number of visible ones, the same for all sequences.
    """

    order: Tensor
    visible: int

    @classmethod
    def random(cls, sequences: int, positions: int, share: float, rng: torch.Generator) -> Self:
        """A mask that hides `share` of the positions of each sequence at random, at least one, and leaves one."""
        hidden = min(max(1, round(share * positions)), positions - 1)
        noise = torch.rand(sequences, positions, generator=rng, device=rng.device)
        return cls(noise.argsort(1), positions - hidden)

    @property
    def kept(self) -> Tensor:
        """The visible positions, int64 [sequences, visible]."""
        return self.order[:, : self.visible]

    @property
    def hidden(self) -> Tensor:
        """The hidden positions, int64 [sequences, hidden]."""
        return self.order[:, self.visible :]

    def to(self, device: torch.device) -> "PatchMask":
        """The same mask on another device."""
        return PatchMask(self.order.to(device), self.visible)

    def kept_of(self, values: Tensor) -> Tensor:
        """Those of `values` [sequences, positions, width] at visible positions."""
        return taken(values, self.kept)

    def hidden_of(self, values: Tensor) -> Tensor:
        """Those of `values` [sequences, positions, width] at hidden positions."""
        return taken(values, self.hidden)

    def whole(self, kept: Tensor, filler: Tensor) -> Tensor:
        """`kept` [sequences, visible, width] in their places among all positions, `filler` [width] in all others."""
        rest = filler.to(kept.dtype).expand(len(kept), self.order.shape[1] - self.visible, -1)
        return taken(torch.cat([kept, rest], dim=1), self.order.argsort(1))


def taken(values: Tensor, positions: Tensor) -> Tensor:
    """`values` [sequences, all, width] at `positions` [sequences, some]."""
    return values.gather(1, positions[..., None].expand(-1, -1, values.shape[2]))
