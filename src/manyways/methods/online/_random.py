"""Random numbers of a stream, compiled: their state is one number, which is kept between two rows."""

from math import exp

import numpy as np

from manyways.methods.online._compiling import Array, compiled

STEP, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
HIGH, MIDDLE, LOW, UNUSED = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
UNIT = 2.0**-53


@compiled
def uniform(random: Array) -> float:
    """The next number in [0, 1) (SplitMix64; Steele, Lea & Flood 2014)."""
    random[0] += STEP
    bits = random[0]
    bits = (bits ^ (bits >> HIGH)) * FIRST
    bits = (bits ^ (bits >> MIDDLE)) * SECOND
    bits = bits ^ (bits >> LOW)
    return float(bits >> UNUSED) * UNIT


@compiled
def choose(subset: Array, attributes: int, random: Array) -> None:
    """Fill `subset` with as many different attributes, drawn at random, in ascending order; all where it has room."""
    wanted, taken = len(subset), 0
    for attribute in range(attributes):  # selection sampling (Fan, Muller & Rezucha 1962)
        if wanted >= attributes or uniform(random) * (attributes - attribute) < wanted - taken:
            subset[taken] = attribute
            taken += 1
            if taken == wanted:
                return


@compiled
def poisson(cumulated: Array, random: Array) -> int:
    """A Poisson number by inversion; `cumulated` are the probabilities of 0, of 0 or 1, and so on."""
    chance = uniform(random)
    for number in range(len(cumulated)):
        if chance < cumulated[number]:
            return number
    return len(cumulated)


def poisson_table(mean: float) -> Array:
    """The cumulated probabilities of the `mean`, as `poisson` takes them, as far as a double tells them from 1."""
    chance, total = exp(-mean), 0.0
    table: list[float] = []
    while total + chance > total or len(table) <= mean:
        total += chance
        table.append(total)
        chance *= mean / len(table)
    return np.array(table)
