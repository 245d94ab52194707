"""Drift of a stream's errors, found by ADWIN or Page-Hinkley, compiled."""

from math import log, sqrt

from manyways.methods.online._compiling import Array, compiled

CLOCK, SHORTEST, GRACE = 32, 5, 10
"""ADWIN looks for a cut every 32 rows, between parts of 5 rows at least, in a window of more than 10."""
LEAST = 30
"""Rows before Page-Hinkley alarms."""

# --- ADWIN (Bifet & Gavaldà 2007) ----------------------------------------------------------------------


@compiled
def between(count: float, total: float, other: float, other_total: float) -> float:
    """The squared distances from the mean that joining two samples adds (Chan et al. 1979)."""
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
    """True if an older part of the window differs in its mean from the newer rest by more than chance allows."""
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
    """True if the values, of which `value` is the newest, are seen to have risen.

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


# --- Page-Hinkley (Page 1954) --------------------------------------------------------------------------


@compiled
def page_hinkley(value: float, tolerance: float, threshold: float, numbers: Array) -> bool:
    """True if the sum of how far values lie above their mean and `tolerance` has climbed by more than `threshold`.

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
