"""Arithmetic on one row of a stream, compiled: standardising, predicting, descending, counting."""

from math import exp, inf, isnan, sqrt

import numpy as np

from manyways.methods.online._compiling import Array, compiled


@compiled
def inverse_deviation(variance: float) -> float:
    """One over the standard deviation; 0 where nothing has varied, so that its standardised value is 0."""
    return 1.0 / sqrt(variance) if variance > 0 else 0.0


@compiled
def standardised(row: Array, mean: Array, scale: Array, out: Array) -> None:
    """`row` less its `mean`, times its `scale`."""
    for j in range(len(out)):
        out[j] = (row[j] - mean[j]) * scale[j]


@compiled
def take_in(row: Array, count: int, mean: Array, variance: Array, scale: Array) -> None:
    """Bring mean, variance and scale up to `row`, the `count`-th (Welford 1962)."""
    share = 1.0 / count
    for j in range(len(mean)):
        before = row[j] - mean[j]
        mean[j] += before * share
        variance[j] += (before * (row[j] - mean[j]) - variance[j]) * share
        scale[j] = inverse_deviation(variance[j])


@compiled
def affine_of_raw(weight: Array, bias: float, row: Array, mean: Array, scale: Array) -> float:
    """`affine` of the standardised row, in one loop."""
    total = bias
    for j in range(len(row)):
        total += weight[j] * ((row[j] - mean[j]) * scale[j])
    return total


@compiled
def affine_of_next(
    weight: Array, bias: float, row: Array, count: int, mean: Array, variance: Array, scale: Array, out: Array
) -> float:
    """`take_in`, then `standardised` into `out`, and `affine` of that, in one loop."""
    share, total = 1.0 / count, bias
    for j in range(len(row)):
        before = row[j] - mean[j]
        middle = mean[j] + before * share
        after = row[j] - middle
        spread = variance[j] + (before * after - variance[j]) * share
        factor = inverse_deviation(spread)
        mean[j], variance[j], scale[j], out[j] = middle, spread, factor, after * factor
        total += weight[j] * out[j]
    return total


@compiled
def affine(weight: Array, bias: float, row: Array) -> float:
    """The weighted sum of a row."""
    total = bias
    for j in range(len(row)):
        total += weight[j] * row[j]
    return total


@compiled
def descend(weight: Array, slope: float, row: Array, rate: float, l2: float) -> None:
    """One step of gradient descent for the weights of an output in which the loss has the `slope`."""
    for j in range(len(row)):
        weight[j] -= rate * (slope * row[j] + l2 * weight[j])


@compiled
def weighted_sum(share: float, row: Array, other_share: float, other: Array, out: Array) -> None:
    """`row` and `other`, each times its share, added up."""
    for j in range(len(row)):
        out[j] = share * row[j] + other_share * other[j]


@compiled
def fill(array: Array, value: float) -> None:
    """Set every number of an array of one axis."""
    for j in range(len(array)):
        array[j] = value


@compiled
def tally(error: float, counts: Array, numbers: Array, window: int, curve: Array, full: int) -> int:
    """Count `error`; a window that is full by it goes into `curve` at `full`. Gives how many are full now."""
    count, number = counts[0], numbers[0]
    count.rows += 1
    number.error += error
    number.squared_error += error * error
    count.window_rows += 1
    number.window_error += error
    if count.window_rows < window:
        return full
    curve[full, 0], curve[full, 1] = count.window_rows, number.window_error
    count.window_rows, number.window_error = 0, 0.0
    return full + 1


@compiled
def likeliest(weight: Array, bias: Array, seen: Array, row: Array) -> tuple[int, float]:
    """The seen class with the highest logit, the first of equals, and that logit; -1 and -inf where none was seen."""
    guess, highest = -1, -inf
    for k in range(len(seen)):
        if seen[k]:
            logit = affine(weight[k], bias[k], row)
            if logit > highest or isnan(logit):
                guess, highest = k, logit
    return guess, highest


@compiled
def softmax(weight: Array, bias: Array, seen: Array, row: Array, out: Array) -> None:
    """The probabilities of the seen classes; 0 for the others."""
    highest, total = likeliest(weight, bias, seen, row)[1], 0.0
    for k in range(len(seen)):
        out[k] = exp(affine(weight[k], bias[k], row) - highest) if seen[k] else 0.0
        total += out[k]
    for k in range(len(seen)):
        out[k] = out[k] / total if seen[k] else 0.0


@compiled
def scales(variance: Array, standardises: bool) -> Array:
    """By what differences to the mean are multiplied."""
    out = np.empty(len(variance))
    for j in range(len(variance)):
        out[j] = inverse_deviation(variance[j]) if standardises else 1.0
    return out
