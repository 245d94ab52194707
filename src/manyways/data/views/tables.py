"""Weak and strong views of batches of table rows."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from manyways.data.specs import TableSpec
from manyways.data.views.base import View
from manyways.data.views.ranges import gaussian, require_range, require_shape


@dataclass(frozen=True)
class TableWeak(View):
    """A little Gaussian noise on the numbers; categories stay.

    noise: standard deviation in units of the standardised columns, in [0, 1].
    Takes and gives float32 [B, D].
    """

    name: ClassVar = "table-weak"
    spec: TableSpec
    noise: float = 0.05

    def __post_init__(self) -> None:
        require_range(self, 0, 1, "noise")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.width)
        return add_noise(batch, self.spec, self.noise, rng)


@dataclass(frozen=True)
class TableStrong(View):
    """Some source columns replaced by those of other rows (SCARF, Bahri 2022), then the weak view's noise.

    corruption: probability that a source column is replaced, in [0, 1]; SCARF contrasts views at 0.6, too
        much for a view whose label must still be recognised.
    noise: as for `TableWeak`.
    Takes and gives float32 [B, D]; the columns of one category move together, so one-hot stays one-hot.
    """

    name: ClassVar = "table-strong"
    spec: TableSpec
    corruption: float = 0.3
    noise: float = 0.05

    def __post_init__(self) -> None:
        require_range(self, 0, 1, "corruption", "noise")

    def __call__(self, batch: Tensor, rng: torch.Generator) -> Tensor:
        require_shape(batch, self.spec.width)
        mixed = corrupt(batch, self.spec, self.corruption, rng)
        return add_noise(mixed, self.spec, self.noise, rng)


@dataclass(frozen=True)
class TableContrastive(TableStrong):
    """SCARF's view: most source columns replaced by those of other rows, and no noise (Bahri et al., ICLR 2022)."""

    name: ClassVar = "table-contrastive"

    corruption: float = 0.6
    noise: float = 0.0


def add_noise(rows: Tensor, spec: TableSpec, deviation: float, rng: torch.Generator) -> Tensor:
    """`rows` [B, D] plus normal noise of standard deviation `deviation` in the numeric groups."""
    is_number = _layout(spec)[1].to(rows.device)
    return torch.addcmul(rows, gaussian(rng, rows), is_number, value=deviation)


def corrupt(rows: Tensor, spec: TableSpec, probability: float, rng: torch.Generator) -> Tensor:
    """`rows` [B, D] where each source column of each row comes from another random row with `probability`.

    A batch of one row has no other row and stays as it is.
    """
    count, groups = len(rows), len(spec.groups)
    if count < 2 or not groups:
        return rows.clone()
    group_of_column = _layout(spec)[0]
    distance = torch.randint(1, count, (count, groups), generator=rng, device=rng.device)
    kept = torch.rand(count, groups, generator=rng, device=rng.device) >= probability
    own = torch.arange(count, device=rng.device)[:, None]
    donor = (own + distance.masked_fill_(kept, 0)) % count
    # Columns outside every group point one past the last group: they keep their own row.
    donor = torch.cat((donor, own), dim=1)[:, group_of_column]
    return rows.gather(0, donor.to(rows.device))


@lru_cache(maxsize=64)
def _layout(spec: TableSpec) -> tuple[Tensor, Tensor]:
    """The group of each column, int64 [D], and 1.0 where it is numeric [D].

    The group is the first of those that go together; for a column in none, the number of groups.
    """
    group_of_column = torch.full((spec.width,), len(spec.groups))
    is_number = torch.zeros(spec.width)
    for group, (start, stop) in enumerate(spec.groups):
        group_of_column[start:stop] = spec.together[group] if spec.together else group
        is_number[start:stop] = float(group in spec.numeric)
    return group_of_column, is_number
