"""The passes of nearest neighbours over a stream, compiled: each row is first predicted and then remembered."""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from manyways.methods.online._compiling import Array, compiled, kept
from manyways.methods.online._detectors import adwin, clear_detector
from manyways.methods.online._leaves import heaviest
from manyways.methods.online._row import scales, take_in, tally
from manyways.models.streams.neighbours import NeighboursState

Learned = tuple[int, int, int]


class NeighbourSettings(NamedTuple):
    """Settings of a pass: the fields of the method as numbers; `adwin_delta` 0: there is no detector."""

    neighbours: int
    remembered: int
    by_distance: bool
    standardise: bool
    adwin_delta: float
    window: int


@compiled
def nearest(row: Array, scale: Array, state: NeighboursState, squares: Array, places: Array, distances: Array) -> int:
    """The nearest remembered rows into `places` and their distances, the nearest first; gives how many there are.

    Of equally near ones the older come first. squares: room for a number for each remembered row.
    """
    begin, end = state.span[0], state.span[1]
    rows = end - begin
    squares[:rows] = 0.0
    for j in range(len(scale)):
        value, factor, column = float(row[j]), scale[j], state.memory[j]
        for at in range(rows):
            apart = (column[begin + at] - value) * factor
            squares[at] += apart * apart
    most, count, worst = len(places), 0, inf
    for at in range(rows):
        if count == most and not squares[at] < worst:
            continue
        place = count if count < most else most - 1
        while place > 0 and squares[at] < distances[place - 1]:
            distances[place], places[place] = distances[place - 1], places[place - 1]
            place -= 1
        distances[place], places[place] = squares[at], begin + at
        count = min(count + 1, most)
        worst = distances[count - 1]
    for at in range(count):
        distances[at] = sqrt(distances[at])
    return count


@compiled
def remember(row: Array, label: float, remembered: int, state: NeighboursState) -> None:
    """Put `row` behind the others; the oldest of more than `remembered` is forgotten."""
    memory, span = state.memory, state.span
    if span[1] == memory.shape[1]:
        rows = span[1] - span[0]
        for j in range(len(memory)):
            for at in range(rows):
                memory[j, at] = memory[j, span[0] + at]
        for at in range(rows):
            state.labels[at] = state.labels[span[0] + at]
        span[0], span[1] = 0, rows
    for j in range(len(memory)):
        memory[j, span[1]] = row[j]
    state.labels[span[1]] = label
    span[1] += 1
    if span[1] - span[0] > remembered:
        span[0] += 1


@compiled
def shorten(settings: NeighbourSettings, state: NeighboursState) -> None:
    """Forget the rows that are older than the window of the detector, which begins anew."""
    width = int(state.numbers[0].width)
    state.span[0] = max(state.span[0], state.span[1] - width)
    clear_detector(state.numbers, state.levels)


@kept
def neighbour_class_pass(
    rows: Array, labels: Array, state: NeighboursState, settings: NeighbourSettings, drifts: Array, curve: Array
) -> Learned:
    """The class that most of the nearest neighbours have; by distance, the nearer ones have more to say.

    rows: float [rows, width]; labels: class codes [rows]. drifts [rows] and curve [rows, 2] are filled from the front.
    Gives how many rows were learned, drifts found and windows filled.
    """
    counts, numbers = state.counts, state.numbers
    scale = scales(state.variance, settings.standardise)
    places, distances = np.empty(settings.neighbours, np.int64), np.empty(settings.neighbours)
    squares, votes = np.empty(settings.remembered), np.empty(len(state.seen))
    drift_count, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        count = nearest(row, scale, state, squares, places, distances)
        votes[:] = 0.0
        for one in range(count):
            if settings.by_distance and distances[0] == 0:
                votes[int(state.labels[places[0]])] = 1.0
                break
            votes[int(state.labels[places[one]])] += 1.0 / distances[one] if settings.by_distance else 1.0
        error = 1.0 if heaviest(votes) != label else 0.0
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.adwin_delta > 0 and adwin(
            error, settings.adwin_delta, numbers, state.levels, state.totals, state.spreads
        ):
            drifts[drift_count] = counts[0].rows - 1
            drift_count += 1
            shorten(settings, state)
        state.seen[label] = 1
        counts[0].standardised += 1
        take_in(row, counts[0].standardised, state.mean, state.variance, scale)
        if not settings.standardise:
            scale[:] = 1.0
        remember(row, label, settings.remembered, state)
    return len(rows), drift_count, full


@kept
def neighbour_number_pass(
    rows: Array, labels: Array, state: NeighboursState, settings: NeighbourSettings, drifts: Array, curve: Array
) -> Learned:
    """The mean of the nearest neighbours' numbers; arguments and result as `neighbour_class_pass`.

    The detector is told errors as a share of three standard deviations of the labels, 1 at most.
    """
    counts, numbers = state.counts, state.numbers
    number = numbers[0]
    scale = scales(state.variance, settings.standardise)
    places, distances = np.empty(settings.neighbours, np.int64), np.empty(settings.neighbours)
    squares = np.empty(settings.remembered)
    drift_count, full = 0, 0
    for at in range(len(rows)):
        row, label = rows[at], labels[at]
        count = nearest(row, scale, state, squares, places, distances)
        total, weights = 0.0, 0.0
        for one in range(count):
            if settings.by_distance and distances[0] == 0:
                total, weights = state.labels[places[0]], 1.0
                break
            weight = 1.0 / distances[one] if settings.by_distance else 1.0
            total += weight * state.labels[places[one]]
            weights += weight
        error = abs((total / weights if weights > 0 else 0.0) - label)
        apart = label - number.label_mean
        number.label_mean += apart / (counts[0].rows + 1)
        number.label_squares += apart * (label - number.label_mean)
        full = tally(error, counts, numbers, settings.window, curve, full)
        if settings.adwin_delta > 0:
            unit = 3.0 * sqrt(number.label_squares / counts[0].rows)
            part = min(1.0, error / unit) if unit > 0 else 0.0
            if adwin(part, settings.adwin_delta, numbers, state.levels, state.totals, state.spreads):
                drifts[drift_count] = counts[0].rows - 1
                drift_count += 1
                shorten(settings, state)
        counts[0].standardised += 1
        take_in(row, counts[0].standardised, state.mean, state.variance, scale)
        if not settings.standardise:
            scale[:] = 1.0
        remember(row, label, settings.remembered, state)
    return len(rows), drift_count, full
