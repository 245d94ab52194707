"""Budgets: how much training may cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from numbers import Real
from typing import Literal, get_args

from manyways.errors import ParameterError

Unit = Literal["steps", "examples", "seconds", "flops"]
UNITS: tuple[Unit, ...] = get_args(Unit)
_WORDS: dict[str, tuple[Unit, float]] = {
    "step": ("steps", 1), "steps": ("steps", 1),
    "example": ("examples", 1), "examples": ("examples", 1),
    "s": ("seconds", 1), "second": ("seconds", 1), "seconds": ("seconds", 1),
    "m": ("seconds", 60), "min": ("seconds", 60), "minute": ("seconds", 60), "minutes": ("seconds", 60),
    "h": ("seconds", 3600), "hour": ("seconds", 3600), "hours": ("seconds", 3600),
    "flop": ("flops", 1), "flops": ("flops", 1), "gflops": ("flops", 1e9), "tflops": ("flops", 1e12),
}  # fmt: skip


LEAST_LEFT = 0.001
"""Share of a budget in seconds that is left at least: a training takes a step."""


@dataclass(frozen=True)
class Planned:
    """The steps that a budget was turned into, over which rates are scheduled, and the one after which the clock ended.

    `last` is `steps` unless training was far slower than planned. A run that is told this does the same again.
    """

    steps: int
    last: int


@dataclass(frozen=True)
class Budget:
    """An amount of one unit: optimiser steps, examples drawn, seconds of training, or floating-point operations.

    Seconds and FLOPs are turned into steps before training by timing or counting a few steps, which are then
    taken back and do not count. So every run is a fixed number of steps, and a run that was killed ends as it
    would have.

    Args:
        amount: Amount, above 0.
        unit: Unit: steps, examples, seconds or flops.

    Raises:
        ParameterError: The amount is not above 0, or the unit is unknown.
    """

    amount: float
    unit: Unit = "steps"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ParameterError(f"Budget.unit must be one of {', '.join(UNITS)}; got {self.unit!r}.")
        given: object = self.amount
        if isinstance(given, bool) or not isinstance(given, Real):
            raise ParameterError(
                f"Budget.amount must be a number; got {given!r}. A budget in words is Budget.of('20s')."
            )
        if not 0 < self.amount < float("inf"):
            raise ParameterError(f"Budget.amount must be above 0; got {self.amount}.")

    @staticmethod
    def of(given: "Budget | str | int") -> "Budget":
        """The budget that `given` means: `"20s"`, `"2 minutes"`, `"500 steps"`, `"1e4 examples"`.

        A number that is no text is one of steps, as in `budget=500`.

        Raises:
            ParameterError: `given` is anything else, or text without a unit.
        """
        if isinstance(given, Budget):
            return given
        # A comma divides thousands; in 1,5 it would be a decimal point to half of the world, and is refused.
        text = re.sub(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", "", str(given).lower())
        match = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)\s*", text)
        word = (match[2] or "steps") if match else ""
        if match is None or word not in _WORDS:
            raise ParameterError(
                f"budget must be a number and a unit, such as 20s, '2 minutes', '500 steps', '10000 examples' or "
                f"'2 tflops'; got {given!r}."
            )
        if isinstance(given, str) and not match[2]:
            raise ParameterError(f"budget {given!r} lacks a unit: {match[1]}s or '{match[1]} steps'? Type one of them.")
        unit, factor = _WORDS[word]
        try:
            return Budget(float(match[1]) * factor, unit)
        except ValueError as error:
            raise ParameterError(f"budget must be above 0 and a number; got {given!r}.") from error

    def share(self, part: float) -> "Budget":
        """The `part` of this budget, in (0, 1]; at least one step or example."""
        amount = self.amount * part
        return Budget(max(1.0, amount) if self.unit in ("steps", "examples") else amount, self.unit)

    def next_share(self, spent: Sequence[float], left: int, fewest: int) -> "Budget":
        """The budget of the next of `left` trainings, after some that took what they did.

        What those left of equal shares, or took beyond them, is that of the others, so that all add up to this budget.

        Args:
            spent: Steps or seconds that each training took so far; of other units only their number counts.
            left: Number of trainings to come, this one included.
            fewest: Least steps of each of them.
        """
        if self.unit == "steps":
            remaining = max(int(self.amount - sum(spent)), left * fewest, 1)
            return Budget(remaining, "steps").divided([1.0] * left, [fewest] * left)[0]
        if self.unit == "seconds":
            return Budget(max(self.amount - sum(spent), LEAST_LEFT * self.amount) / left, "seconds")
        return self.share(1 / (len(spent) + left))

    def divided(self, weights: Sequence[float], fewest: Sequence[int]) -> "list[Budget]":
        """Parts in proportion to `weights`; steps are whole and add up.

        Args:
            weights: A weight for each part.
            fewest: Least steps of each part, 0 for one that takes none; their sum is at most the steps that there are.
        """
        if self.unit != "steps":
            return [self.share(weight / sum(weights)) for weight in weights]
        ends = [int(int(self.amount) * end / sum(weights) + 1e-9) for end in accumulate(weights)]
        steps = [end - before for before, end in zip([0, *ends], ends, strict=False)]
        for at, least in enumerate(fewest):
            while steps[at] < least:
                richest = max(range(len(steps)), key=lambda part: steps[part] - fewest[part])
                steps[richest] -= 1
                steps[at] += 1
        return [Budget(max(1, count), "steps") for count in steps]

    def __str__(self) -> str:
        amount = (
            f"{self.amount:,.0f}" if self.amount >= 100 or self.amount == int(self.amount) else f"{self.amount:.3g}"
        )
        if self.unit == "flops":
            amount = f"{self.amount:.3g}"
        return f"{amount} {self.unit if self.amount != 1 or self.unit == 'flops' else self.unit[:-1]}"
