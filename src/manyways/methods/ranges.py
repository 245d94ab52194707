"""Ranges that values are drawn from, as text: "log(1e-4, 1e-2)"."""

import ast
import re
from dataclasses import dataclass
from math import exp, inf, log

import numpy as np

from manyways.errors import ParameterError

RANGES = ("log", "uniform", "integers")
"""The words that a range begins with."""


@dataclass(frozen=True)
class Range:
    """Values between two ends: evenly (`uniform`), evenly by their logarithm (`log`), or whole numbers (`integers`)."""

    kind: str
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """A value, drawn at random."""
        if self.kind == "integers":
            return int(rng.integers(int(self.low), int(self.high) + 1))
        if self.kind == "log":
            return float(exp(rng.uniform(log(self.low), log(self.high))))
        return float(rng.uniform(self.low, self.high))

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest value."""
        return (int(self.low), int(self.high)) if self.kind == "integers" else (self.low, self.high)


def range_of(text: object, where: str) -> Range:
    """The range that `text` writes: "log(1e-4, 1e-2)", "uniform(0, 1)" or "integers(1, 8)".

    Raises:
        ParameterError: It writes none.
    """
    allowed = "a range, such as 'log(1e-4, 1e-2)', 'uniform(0, 1)' or 'integers(1, 8)'"
    if not isinstance(text, str):
        raise ParameterError(f"{where} must be {allowed}; values to choose among are a list; got {text!r}.")
    match = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", text)
    try:
        low, high = ast.literal_eval(f"({match[2]})") if match else (0, 0)
        span = Range(match[1] if match else "", float(low), float(high))
    except (ValueError, TypeError, SyntaxError) as error:
        raise ParameterError(f"{where} must be {allowed}; got {text!r}.") from error
    sound = -inf < span.low < span.high < inf and (span.kind != "log" or span.low > 0)
    if span.kind not in RANGES or not sound:
        raise ParameterError(
            f"{where} must be {allowed}, from the lower to the higher end, that of log above 0; got {text!r}."
        )
    if span.kind == "integers" and (span.low % 1 or span.high % 1):
        raise ParameterError(f"{where} must have whole numbers for its ends; got {text!r}.")
    return span
