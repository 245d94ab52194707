"""The passes over a stream, compiled: each row is first predicted and then learned."""

from math import exp, isfinite, sqrt
from typing import Any, NamedTuple

import numpy as np

from manyways.methods.online._compiling import Array, compiled, kept
from manyways.methods.online._detectors import adwin, clear_detector, page_hinkley
from manyways.methods.online._row import (
    affine,
    affine_of_next,
    affine_of_raw,
    descend,
    fill,
    likeliest,
    scales,
    softmax,
    standardised,
    take_in,
    tally,
    weighted_sum,
)
from manyways.models.streams.linear import State

Learned = tuple[int, int, int]
"""The numbers of rows a pass learned, drifts it found and windows it filled."""

NO_DRIFT, ADWIN, PAGE_HINKLEY = 0, 1, 2
"""Code of the detector that follows the errors."""


class Settings(NamedTuple):
    """Settings of a pass: the fields of `OnlineSGD` as numbers.

    Attributes:
        fading: Share that is left, after a row, of what a drift added to the learning rates.
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
    drift_count, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        logit = affine_of_raw(weight, bias, row, mean, scale)
        if not isfinite(logit):
            return at, drift_count, full
        guess = count.first
        if count.second >= 0 and (logit > 0 or (logit == 0 and count.second < count.first)):
            guess = count.second
        error = 1.0 if guess != label else 0.0
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.drift != NO_DRIFT and alarmed(error, settings, numbers, levels, totals, spreads):
            drifts[drift_count] = count.rows - 1
            drift_count += 1
            react(settings, state)
            if settings.resets:
                fill(weight, 0.0)
                bias = 0.0
        meet(label, count, state.seen)
        if settings.standardise:
            count.standardised += 1
            logit = affine_of_next(weight, bias, row, count.standardised, mean, variance, scale, now)
        else:
            standardised(row, mean, scale, now)
            logit = affine(weight, bias, now)
        slope = 1.0 / (1.0 + exp(-logit)) - (1.0 if label != count.first else 0.0)
        descend(weight, slope, now, settings.rate * number.gain, settings.l2)
        bias -= settings.bias_rate * number.gain * slope
        number.gain = 1.0 + (number.gain - 1.0) * settings.fading
    if count.first >= 0:
        weighted_sum(-0.5, weight, 0.0, weight, state.weight[count.first])
        state.bias[count.first] = -0.5 * bias
    if count.second >= 0:
        weighted_sum(0.5, weight, 0.0, weight, state.weight[count.second])
        state.bias[count.second] = 0.5 * bias
    return len(rows), drift_count, full


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
    drift_count, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        standardised(row, mean, scale, now)
        guess, highest = likeliest(weight, bias, seen, now)
        if not isfinite(highest) and count.first >= 0:
            return at, drift_count, full
        error = 1.0 if guess != label else 0.0
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.drift != NO_DRIFT and alarmed(error, settings, numbers, levels, totals, spreads):
            drifts[drift_count] = count.rows - 1
            drift_count += 1
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
    return len(rows), drift_count, full


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
    drift_count, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        standardised(row, mean, scale, now)
        error = abs(affine(weight, bias[0], now) - label)
        if not isfinite(error * error):
            return at, drift_count, full
        apart = label - number.label_mean
        number.label_mean += apart / (count.rows + 1)
        number.label_squares += apart * (label - number.label_mean)
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.drift != NO_DRIFT:
            unit = 3.0 * sqrt(number.label_squares / count.rows)
            share = min(1.0, error / unit) if unit > 0 else 0.0
            if alarmed(share, settings, numbers, levels, totals, spreads):
                drifts[drift_count] = count.rows - 1
                drift_count += 1
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
    return len(rows), drift_count, full
