"""Exact nearest neighbours among many rows, by products of matrices."""

import torch
from torch import Tensor, nn

SPARE = 16
"""Rows beyond those asked for that are compared in full, since products of matrices round more."""
GROUP = 16
"""Distances of which only the least is looked at at first."""
AT_ONCE = 1 << 23
"""Numbers that are held at a time."""


class NearestRows(nn.Module):
    """The k nearest of `count` rows of `width` numbers, in Euclidean distance."""

    rows: Tensor
    middle: Tensor
    squares: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(count, width))
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("squares", torch.zeros(count))

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Take `rows`, float32 [count, width], as those to be found."""
        self.rows.copy_(rows)
        self.middle.copy_(rows.mean(0))
        for at in range(0, len(rows), 4096):
            self.squares[at : at + 4096] = (rows[at : at + 4096] - self.middle).square().sum(1)

    @torch.no_grad()
    def forward(self, queries: Tensor, count: int) -> Tensor:
        """The `count` rows nearest to each of `queries` [queries, width], the nearest first, int64 [queries, count]."""
        wanted = min(count + SPARE, len(self.rows))
        size = max(1, min(AT_ONCE // len(self.rows), AT_ONCE // (wanted * queries.shape[1])))
        # Written in place: small results kept between large blocks would keep the allocator from using those again.
        nearest = torch.empty(len(queries), count, dtype=torch.long, device=queries.device)
        for at in range(0, len(queries), size):
            part = queries[at : at + size]
            nearest[at : at + size] = self._nearest(part, self._candidates(part, wanted), count)
        return nearest

    def _candidates(self, queries: Tensor, wanted: int) -> Tensor:
        """The `wanted` rows nearest by the product, in any order."""
        # |q - r|² of centred ones, but for what is the same for all rows: -2 (q - m) r + |r - m|².
        distances = torch.addmm(self.squares, queries - self.middle, self.rows.T, alpha=-2)
        groups = distances.shape[1] // GROUP
        if groups < wanted:
            return distances.topk(wanted, 1, largest=False, sorted=False).indices
        # The nearest rows are in the groups of the least distances, which are found by going over all rows once.
        even = GROUP * groups
        least = distances[:, :even].view(len(queries), GROUP, groups).amin(1)
        best = least.topk(wanted, 1, largest=False, sorted=False).indices
        inside = (best[:, None] + groups * torch.arange(GROUP, device=queries.device)[:, None]).flatten(1)
        rest = torch.arange(even, distances.shape[1], device=queries.device).expand(len(queries), -1)
        places = torch.cat([inside, rest], 1)
        near = distances.gather(1, places).topk(wanted, 1, largest=False, sorted=False)
        return places.gather(1, near.indices)

    def _nearest(self, queries: Tensor, candidates: Tensor, count: int) -> Tensor:
        """The `count` nearest of `candidates` [queries, wanted], the nearest first."""
        near = self.rows[candidates.flatten()].view(*candidates.shape, queries.shape[1])
        distances = (near - queries[:, None]).square_().sum(2)
        return candidates.gather(1, distances.topk(count, 1, largest=False).indices)
