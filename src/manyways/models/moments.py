"""Sums over rows that a row can be taken out of again, to the last bit."""

import torch
from torch import Tensor, nn

Sum = tuple[Tensor, Tensor]
"""A sum as its float64 value and what rounding took from it (Dekker 1971): 106 bits in all."""

NUMBERS_AT_ONCE = 1 << 15
"""Blocks that stay in the processor's cache, and below what the C library asks the system for."""
SPLITTER = 2.0**27 + 1
MOST_LOST = 2.0**64
"""Rows whose squares are so many times those of the others cannot be taken out to ten digits."""
NOTHING = 2.0**-90
"""Share of two numbers that cancel below which what is left of them is 0."""


class Moments(nn.Module):
    """For each group of rows their number, and the sum and the sum of squares of every feature.

    Products and sums keep 106 bits, so that rows taken out leave what the others alone would give: a feature that was
    constant but in those rows is exactly constant again. Features are float32 or float64 [rows, width], groups int64
    [rows].
    """

    count: Tensor
    sums: Tensor
    squares: Tensor

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.groups, self.lost = groups, False
        self.register_buffer("count", torch.zeros(groups, dtype=torch.int64))
        self.register_buffer("sums", torch.zeros(2, groups, width, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(2, groups, width, dtype=torch.float64))

    def add(self, features: Tensor, groups: Tensor) -> None:
        """Count the rows in."""
        self.move(features, groups, 1)

    def remove(self, features: Tensor, groups: Tensor) -> None:
        """Take rows out that were counted in."""
        self.move(features, groups, -1)

    def move(self, features: Tensor, groups: Tensor, sign: int) -> None:
        """Count rows in (sign 1) or out (−1); `lost` says afterwards whether those were too large for the others."""
        before = self.squares[0].clone()
        self.count += sign * torch.bincount(groups, minlength=self.groups)
        order = None if self.groups == 1 else torch.argsort(groups, stable=True)
        for places in torch.split(torch.arange(len(features)), max(1, NUMBERS_AT_ONCE // max(1, features.shape[1]))):
            chosen = places if order is None else order[places]  # rows of one group come one after the other
            values, (there, codes) = (
                features[chosen].double(),
                torch.unique_consecutive(groups[chosen], return_inverse=True),
            )
            self._add(self.sums, there, total_by_group(values, codes, len(there)), sign)
            if features.dtype == torch.float32:  # the square of 24 bits has 48
                self._add(self.squares, there, total_by_group(values.square(), codes, len(there)), sign)
            else:
                for each in product(values, values):
                    self._add(self.squares, there, total_by_group(each, codes, len(there)), sign)

        left = self.squares[0]
        self.lost = sign < 0 and bool(((left > 0) & (before > MOST_LOST * left)).any())

    def _add(self, sums: Tensor, groups: Tensor, more: Sum, sign: int) -> None:
        sums[0, groups], sums[1, groups] = plus((sums[0, groups], sums[1, groups]), (sign * more[0], sign * more[1]))

    def together(self) -> "Moments":
        """The moments of all groups as one."""
        total = Moments(1, self.sums.shape[2])
        total.count[0] = self.count.sum()
        for ours, theirs in ((total.sums, self.sums), (total.squares, self.squares)):
            ours[0, 0], ours[1, 0] = summed((theirs[0], theirs[1]))
        return total

    def select(self, features: Tensor) -> "Moments":
        """Those of some `features`, int64 positions."""
        part = Moments(self.groups, len(features))
        part.lost = self.lost
        part.count.copy_(self.count)
        part.sums.copy_(self.sums[:, :, features])
        part.squares.copy_(self.squares[:, :, features])
        return part

    def mean(self) -> Tensor:
        """The mean of each feature, float64 [groups, width]; 0 in a group without rows."""
        return self.sums[0] / self.count.clamp_min(1)[:, None]

    def variance(self) -> Tensor:
        """The mean squared deviation from the mean, float64 [groups, width]; exactly 0 where nothing varies."""
        count = self.count.double()[:, None].expand_as(self.sums[0])
        scaled = times((count, torch.zeros_like(count)), (self.squares[0], self.squares[1]))
        squared = times((self.sums[0], self.sums[1]), (self.sums[0], self.sums[1]))
        spread = plus(scaled, (-squared[0], -squared[1]))[0]
        spread = torch.where(spread <= NOTHING * scaled[0], 0.0, spread)
        return spread / count.clamp_min(1).square()


def total(values: Tensor) -> Sum:
    """The sum of float64 `values` [rows, ...] over the rows.

    What a power of two pushes out of the mantissa is summed by itself, so that neither sum is rounded (Rump, Ogita &
    Oishi, Accurate floating-point summation, 2008).
    """
    if not len(values):
        return values.new_zeros(values.shape[1:]), values.new_zeros(values.shape[1:])
    largest = values.abs().amax(0)
    power = torch.ldexp(torch.ones_like(largest), torch.frexp(largest * len(values))[1] + 1)
    high = (values + power) - power
    return _two_sum(high.sum(0), (values - high).sum(0))


def total_by_group(values: Tensor, codes: Tensor, groups: int) -> Sum:
    """Totals of the rows of each group [groups, ...], as by `total`; codes [rows] are the groups of the rows."""
    if groups == 1:
        high, low = total(values)
        return high[None], low[None]
    shape = (groups, *values.shape[1:])
    largest = values.new_zeros(shape).scatter_reduce_(0, codes[:, None].expand_as(values), values.abs(), "amax")
    counts = torch.bincount(codes, minlength=groups).double()
    power = torch.ldexp(torch.ones_like(largest), torch.frexp(largest * counts[:, None])[1] + 1)[codes]
    high = (values + power) - power
    sums = values.new_zeros(2, *shape)
    sums[0].index_add_(0, codes, high)
    sums[1].index_add_(0, codes, values - high)
    return _two_sum(sums[0], sums[1])


def summed(values: Sum) -> Sum:
    """The sum over the first axis of a few sums."""
    found = values[0].new_zeros(values[0].shape[1:]), values[1].new_zeros(values[1].shape[1:])
    for high, low in zip(*values, strict=True):
        found = plus(found, (high, low))
    return found


def plus(a: Sum, b: Sum) -> Sum:
    """Sum of `a` and `b`."""
    high, low = _two_sum(a[0], b[0])
    more, less = _two_sum(a[1], b[1])
    high, low = _renormalised(high, low + more)
    return _renormalised(high, low + less)


def times(a: Sum, b: Sum) -> Sum:
    """Product of `a` and `b`."""
    high, low = product(a[0], b[0])
    return _renormalised(high, low + (a[0] * b[1] + a[1] * b[0]))


def product(a: Tensor, b: Tensor) -> Sum:
    """Product of float64 `a` and `b`, and its rounding error (Dekker 1971)."""
    high = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low


def _two_sum(a: Tensor, b: Tensor) -> Sum:
    """Sum of `a` and `b`, and its rounding error (Knuth 1969)."""
    high = a + b
    other = high - a
    return high, (a - (high - other)) + (b - other)


def _renormalised(high: Tensor, low: Tensor) -> Sum:
    """The same number, with the error below the last bit of the value; |high| ≥ |low|."""
    total = high + low
    return total, low - (total - high)


def _halves(a: Tensor) -> Sum:
    scaled = SPLITTER * a
    high = scaled - (scaled - a)
    return high, a - high
