"""Tokens: what a backbone says of each position of a row, before it is pooled to one vector."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from manyways.models.backbones._layers import masked_mean


@dataclass(frozen=True)
class Tokens:
    """Features per position: of each word, patch, frame or place of a map.

    features: [rows, positions, width]. mask: bool [rows, positions], False where a row has nothing at a position
    (padding); None where every row fills all. grid: how the positions lie, (length,) in a sequence or (rows, columns)
    in a map, row by row. Where positions outnumber the grid, the first ones are summaries of the whole ([CLS],
    registers) and lie nowhere.
    """

    features: Tensor
    mask: Tensor | None
    grid: tuple[int, ...]

    @property
    def placed(self) -> "Tokens":
        """Without the summaries: the positions that lie on the grid."""
        count = 1
        for side in self.grid:
            count *= side
        beside = self.features.shape[1] - count
        mask = self.mask if self.mask is None else self.mask[:, beside:]
        return replace(self, features=self.features[:, beside:], mask=mask)

    def only(self, rows: Tensor) -> "Tokens":
        """Return tokens that are empty in the rows where bool `rows` [rows] is False."""
        whole = self.features.new_ones(self.features.shape[:2], dtype=torch.bool) if self.mask is None else self.mask
        features = torch.where(rows[:, None, None], self.features, 0)
        return replace(self, features=features, mask=whole & rows[:, None])

    def at(self, rows: Tensor | slice) -> "Tokens":
        """Return the tokens of some of the rows."""
        return replace(self, features=self.features[rows], mask=None if self.mask is None else self.mask[rows])

    def mean(self) -> Tensor:
        """The mean over the positions that a row has, [rows, width]."""
        if self.mask is not None:
            return masked_mean(self.features, self.mask)
        return self.features[:, 0] if self.features.shape[1] == 1 else self.features.mean(dim=1)


def of_map(hidden: Tensor) -> Tokens:
    """Tokens of a map [rows, width, height, columns]: one per place."""
    return Tokens(hidden.flatten(2).transpose(1, 2), None, tuple(hidden.shape[2:]))


def map_of(tokens: Tokens) -> Tensor:
    """The map [rows, width, height, columns] that `of_map` made tokens of."""
    placed = tokens.placed.features.transpose(1, 2)
    return placed.reshape(*placed.shape[:2], *tokens.grid)


def of_whole(features: Tensor) -> Tokens:
    """One token per row, [rows, 1, width]: of a backbone that mixes all of a row at once."""
    return Tokens(features[:, None], None, (1,))
