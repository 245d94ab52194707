"""The passes over a stream, compiled: each row is first predicted and then learned.

All of it is in one file because numba's store of compiled code looks at the file of a function alone: a change of a
function or a constant in another file would go unseen. Sums are not reassociated, so that what is learned is a function
of the rows and their order, bit by bit, wherever a stream is cut.
"""

from collections.abc import Callable
from contextlib import suppress
from math import exp, inf, isfinite, isnan, log, sqrt
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from manyways.models.stream import State

Array = NDArray[Any]
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
Learned = tuple[int, int, int]
"""How many rows a pass learned, drifts it found and windows it filled."""

NO_DRIFT, ADWIN, PAGE_HINKLEY = 0, 1, 2
"""Which detector is told the errors."""

CLOCK, SHORTEST, GRACE = 32, 5, 10
"""ADWIN looks for a cut every 32 rows, between parts of 5 rows at least, in a window of more than 10."""
LEAST = 30
"""Rows before Page-Hinkley alarms."""


class Settings(NamedTuple):
    """How a row is learned: the fields of `OnlineSGD` as numbers.

    fading: what is left after a row of what a drift added to the learning rates.
    """

    rate: float
    bias_rate: float
    l2: float
    standardise: bool
    drift: int
    adwin_delta: float
    tolerance: float
    threshold: float
    resets: bool
    boost: float
    fading: float
    window: int


def compiled(function: FunctionT) -> FunctionT:
    """`function` as machine code that lets other threads run."""
    return cast("FunctionT", numba.njit(nogil=True, error_model="numpy")(function))


def kept(function: FunctionT) -> FunctionT:
    """`compiled`, and kept on disk where numba finds a place for it: beside this file, or in the user's own cache.

    Those are places of code, as trustworthy as this file; what numba keeps there are pickles, so it must not be a
    MANYWAYS_HOME that is shared with others.
    """
    made: Any = compiled(function)
    with suppress(RuntimeError):  # no place that can be written: it is compiled anew in every process
        made.enable_caching()
    return cast("FunctionT", made)


# --- a row ---------------------------------------------------------------------------------------------


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


# --- ADWIN (Bifet & Gavaldà 2007) ----------------------------------------------------------------------


@compiled
def between(count: float, total: float, other: float, other_total: float) -> float:
    """What joining two samples adds to their squared distances from the mean (Chan et al. 1979)."""
    apart = total / count - other_total / other
    return count * other / (count + other) * apart * apart


@compiled
def add_bucket(level: int, total: float, spread: float, levels: Array, totals: Array, spreads: Array) -> None:
    """Put the newest bucket of its size behind the others."""
    at = levels[level]
    totals[level, at], spreads[level, at] = total, spread
    levels[level] += 1


@compiled
def drop_buckets(level: int, count: int, levels: Array, totals: Array, spreads: Array) -> None:
    """Take away the `count` oldest buckets of a size."""
    for at in range(count, levels[level]):
        totals[level, at - count] = totals[level, at]
        spreads[level, at - count] = spreads[level, at]
    levels[level] -= count


@compiled
def adwin_insert(value: float, numbers: Array, levels: Array, totals: Array, spreads: Array) -> None:
    """Add `value` to the window; of more than M buckets of one size the two oldest become one."""
    number = numbers[0]
    if number.width > 0:
        number.spread += between(1.0, value, number.width, number.total)
    number.width += 1.0
    number.total += value
    add_bucket(0, value, 0.0, levels, totals, spreads)
    level, size = 0, 1.0
    while levels[level] == totals.shape[1] and level + 1 < len(levels):
        first, second = totals[level, 0], totals[level, 1]
        spread = spreads[level, 0] + spreads[level, 1] + between(size, first, size, second)
        drop_buckets(level, 2, levels, totals, spreads)
        level, size = level + 1, 2.0 * size
        add_bucket(level, first + second, spread, levels, totals, spreads)


@compiled
def adwin_forget_oldest(numbers: Array, levels: Array, totals: Array, spreads: Array) -> None:
    """Take the oldest bucket out of the window."""
    number = numbers[0]
    level = len(levels) - 1
    while levels[level] == 0:
        level -= 1
    size, total = 2.0**level, totals[level, 0]
    number.width -= size
    number.total -= total
    number.spread -= spreads[level, 0] + between(size, total, number.width, number.total)
    drop_buckets(level, 1, levels, totals, spreads)


@compiled
def adwin_has_cut(delta: float, numbers: Array, levels: Array, totals: Array) -> bool:
    """Whether an older part of the window differs in its mean from the newer rest by more than chance allows."""
    number = numbers[0]
    variance = max(number.spread, 0.0) / number.width
    certainty = log(2.0 * log(number.width) / delta)
    older, older_total = 0.0, 0.0
    for level in range(len(levels) - 1, -1, -1):
        size = 2.0**level
        for at in range(levels[level]):
            older += size
            older_total += totals[level, at]
            newer = number.width - older
            if newer < SHORTEST:
                return False
            if older < SHORTEST:
                continue
            apart = abs(older_total / older - (number.total - older_total) / newer)
            share = 1.0 / (older - SHORTEST + 1.0) + 1.0 / (newer - SHORTEST + 1.0)
            if apart > sqrt(2.0 * share * variance * certainty) + 2.0 / 3.0 * share * certainty:
                return True
    return False


@compiled
def adwin(value: float, delta: float, numbers: Array, levels: Array, totals: Array, spreads: Array) -> bool:
    """Whether the values, of which `value` is the newest, are seen to have risen.

    The window keeps the newest values among which there is no change. A fall shortens it, too, and is no alarm.
    """
    number = numbers[0]
    adwin_insert(value, numbers, levels, totals, spreads)
    number.ticks += 1.0
    if number.ticks % CLOCK != 0 or number.width <= GRACE:
        return False
    before, shortened = number.total / number.width, False
    while number.width > GRACE and adwin_has_cut(delta, numbers, levels, totals):
        adwin_forget_oldest(numbers, levels, totals, spreads)
        shortened = True
    return shortened and bool(number.total / number.width > before)


# --- Page-Hinkley (Page 1954), and what follows an alarm -----------------------------------------------


@compiled
def page_hinkley(value: float, tolerance: float, threshold: float, numbers: Array) -> bool:
    """Whether the sum of how far values lie above their mean and `tolerance` has climbed by more than `threshold`.

    Here `width` counts the values, `total` is their mean and `spread` the sum.
    """
    number = numbers[0]
    number.width += 1.0
    number.total += (value - number.total) / number.width
    number.spread += value - number.total - tolerance
    number.lowest = min(number.lowest, number.spread)
    return bool(number.width >= LEAST and number.spread - number.lowest > threshold)


@compiled
def clear_detector(numbers: Array, levels: Array) -> None:
    """Forget all errors."""
    number = numbers[0]
    number.width, number.total, number.spread, number.lowest, number.ticks = 0.0, 0.0, 0.0, 0.0, 0.0
    for level in range(len(levels)):
        levels[level] = 0


@compiled
def alarmed(value: float, settings: Settings, numbers: Array, levels: Array, totals: Array, spreads: Array) -> bool:
    """Tell the detector of the error `value`, in [0, 1], and give whether it alarms."""
    if settings.drift == ADWIN:
        alarm = adwin(value, settings.adwin_delta, numbers, levels, totals, spreads)
    else:
        alarm = page_hinkley(value, settings.tolerance, settings.threshold, numbers)
    if alarm:
        clear_detector(numbers, levels)
    return alarm


@compiled
def react(settings: Settings, state: State) -> None:
    """Begin again, or learn faster for a while."""
    if settings.resets:
        for k in range(len(state.bias)):
            fill(state.weight[k], 0.0)
        fill(state.bias, 0.0)
        fill(state.mean, 0.0)
        fill(state.variance, 0.0)
        state.counts[0].standardised = 0
        state.numbers[0].gain = 1.0
        clear_detector(state.numbers, state.levels)
    else:
        state.numbers[0].gain = settings.boost


# --- the passes ----------------------------------------------------------------------------------------


@compiled
def scales(variance: Array, standardises: bool) -> Array:
    """By what differences to the mean are multiplied."""
    out = np.empty(len(variance))
    for j in range(len(variance)):
        out[j] = inverse_deviation(variance[j]) if standardises else 1.0
    return out


@compiled
def meet(label: int, count: Any, seen: Array) -> None:
    """Remember that a row had the class `label`."""
    seen[label] = 1
    if count.first < 0:
        count.first = label
    elif count.second < 0 and label != count.first:
        count.second = label


@kept
def logistic_pass(rows: Array, labels: Array, state: State, settings: Settings, drifts: Array, curve: Array) -> Learned:
    """Logistic regression as long as two classes have been seen.

    rows: float [rows, width]; labels: class codes [rows]. drifts [rows] and curve [rows, 2] are filled from the front.
    Gives how many rows were learned, drifts found and windows filled; fewer rows where outputs are no longer finite.
    The first row is predicted by nothing, and counts as wrong. The weights of the two classes are kept as opposites,
    so that their logits differ by what one vector of weights says; more classes go on from there.
    """
    mean, variance, counts, numbers = state.mean, state.variance, state.counts, state.numbers
    levels, totals, spreads = state.levels, state.totals, state.spreads
    count, number = counts[0], numbers[0]
    scale, now = scales(variance, settings.standardise), np.empty(rows.shape[1])
    weight, bias = np.empty(rows.shape[1]), 0.0
    fill(weight, 0.0)
    if count.second >= 0:
        weighted_sum(-1.0, state.weight[count.first], 1.0, state.weight[count.second], weight)
        bias = state.bias[count.second] - state.bias[count.first]
    elif count.first >= 0:
        weighted_sum(-1.0, state.weight[count.first], -1.0, state.weight[count.first], weight)
        bias = -2.0 * state.bias[count.first]
    found, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        standardised(row, mean, scale, now)
        logit = affine(weight, bias, now)
        if not isfinite(logit):
            return at, found, full
        guess = count.first
        if count.second >= 0 and (logit > 0 or (logit == 0 and count.second < count.first)):
            guess = count.second
        error = 1.0 if guess != label else 0.0
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.drift != NO_DRIFT and alarmed(error, settings, numbers, levels, totals, spreads):
            drifts[found] = count.rows - 1
            found += 1
            react(settings, state)
            if settings.resets:
                fill(weight, 0.0)
                bias = 0.0
        meet(label, count, state.seen)
        if settings.standardise:
            count.standardised += 1
            take_in(row, count.standardised, mean, variance, scale)
            standardised(row, mean, scale, now)
        slope = 1.0 / (1.0 + exp(-affine(weight, bias, now))) - (1.0 if label != count.first else 0.0)
        descend(weight, slope, now, settings.rate * number.gain, settings.l2)
        bias -= settings.bias_rate * number.gain * slope
        number.gain = 1.0 + (number.gain - 1.0) * settings.fading
    if count.first >= 0:
        weighted_sum(-0.5, weight, 0.0, weight, state.weight[count.first])
        state.bias[count.first] = -0.5 * bias
    if count.second >= 0:
        weighted_sum(0.5, weight, 0.0, weight, state.weight[count.second])
        state.bias[count.second] = 0.5 * bias
    return len(rows), found, full


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


@kept
def multinomial_pass(
    rows: Array, labels: Array, state: State, settings: Settings, drifts: Array, curve: Array
) -> Learned:
    """Multinomial (softmax) regression among the classes seen so far; arguments and result as `logistic_pass`.

    A class has the probability 0 before it is first seen, and weights of 0 then.
    """
    mean, variance, counts, numbers = state.mean, state.variance, state.counts, state.numbers
    levels, totals, spreads = state.levels, state.totals, state.spreads
    weight, bias, seen = state.weight, state.bias, state.seen
    count, number = counts[0], numbers[0]
    scale, now = scales(variance, settings.standardise), np.empty(rows.shape[1])
    chances = np.empty(len(seen))
    found, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        standardised(row, mean, scale, now)
        guess, highest = likeliest(weight, bias, seen, now)
        if not isfinite(highest) and count.first >= 0:
            return at, found, full
        error = 1.0 if guess != label else 0.0
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.drift != NO_DRIFT and alarmed(error, settings, numbers, levels, totals, spreads):
            drifts[found] = count.rows - 1
            found += 1
            react(settings, state)
        if settings.standardise:
            count.standardised += 1
            take_in(row, count.standardised, mean, variance, scale)
            standardised(row, mean, scale, now)
        softmax(weight, bias, seen, now, chances)
        meet(label, count, seen)
        for k in range(len(seen)):
            if seen[k]:
                slope = chances[k] - (1.0 if k == label else 0.0)
                descend(weight[k], slope, now, settings.rate * number.gain, settings.l2)
                bias[k] -= settings.bias_rate * number.gain * slope
        number.gain = 1.0 + (number.gain - 1.0) * settings.fading
    return len(rows), found, full


@kept
def linear_pass(rows: Array, labels: Array, state: State, settings: Settings, drifts: Array, curve: Array) -> Learned:
    """Linear regression by the squared error; labels: numbers [rows]; the rest as `logistic_pass`.

    A step that would carry the output past the label ends there: it is shortened, as in passive-aggressive learning
    (Crammer et al. 2006), so that a column which begins to vary late does not blow up the weights. The detector is
    told errors as a share of three standard deviations of the labels, 1 at most, so that it needs no units.
    """
    mean, variance, counts, numbers = state.mean, state.variance, state.counts, state.numbers
    levels, totals, spreads = state.levels, state.totals, state.spreads
    weight, bias = state.weight[0], state.bias
    count, number = counts[0], numbers[0]
    scale, now = scales(variance, settings.standardise), np.empty(rows.shape[1])
    found, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        standardised(row, mean, scale, now)
        error = abs(affine(weight, bias[0], now) - label)
        if not isfinite(error * error):
            return at, found, full
        apart = label - number.label_mean
        number.label_mean += apart / (count.rows + 1)
        number.label_squares += apart * (label - number.label_mean)
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.drift != NO_DRIFT:
            unit = 3.0 * sqrt(number.label_squares / count.rows)
            share = min(1.0, error / unit) if unit > 0 else 0.0
            if alarmed(share, settings, numbers, levels, totals, spreads):
                drifts[found] = count.rows - 1
                found += 1
                react(settings, state)
        if settings.standardise:
            count.standardised += 1
            take_in(row, count.standardised, mean, variance, scale)
            standardised(row, mean, scale, now)
        slope = 2.0 * (affine(weight, bias[0], now) - label)
        carried = 2.0 * number.gain * (settings.rate * affine(now, 0.0, now) + settings.bias_rate)
        step = number.gain / max(1.0, carried)
        descend(weight, slope, now, settings.rate * step, settings.l2)
        bias[0] -= settings.bias_rate * step * slope
        number.gain = 1.0 + (number.gain - 1.0) * settings.fading
    return len(rows), found, full
