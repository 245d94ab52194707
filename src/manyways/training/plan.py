"""From a budget to a number of steps."""

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from manyways.training.budget import Budget
from manyways.training.steps import LearnerT, Steps

CALIBRATION_SHARE = 0.05
CALIBRATION_SECONDS = 0.7
CALIBRATION_STEPS = 1000
FEWEST, MOST = 4, 40


def plan_steps(
    method: Steps[LearnerT], learner: LearnerT, optimizer: torch.optim.Optimizer, budget: Budget, seed: int,
    take_step: Callable[..., Any],
) -> int:  # fmt: skip
    """The number of steps that `budget` allows, at least one.

    For seconds and FLOPs a few steps are taken, measured, and taken back: learner and optimiser end as they began. What
    a method computes besides its steps is measured once, and paid for first; so are the steps of a small model by whose
    losses the sampler picks.
    """
    first = learner.sampler.trains_first
    if budget.unit == "steps":
        return max(1, int(budget.amount) - first)
    if budget.unit == "examples":
        return max(1, int(budget.amount / method.examples_per_step(learner)) - first)
    weights = copy.deepcopy(learner.state_dict())
    state = copy.deepcopy(optimizer.state_dict())
    measure = _seconds if budget.unit == "seconds" else _flops
    period = method.period()

    def take_period(number: int) -> None:
        # Where steps grow dearer, they are measured all over the run.
        number = int(spread(number) * CALIBRATION_STEPS / period) if learner.sampler.grows else number
        for step in range(number * period, (number + 1) * period):
            take_step(method, learner, optimizer, step, CALIBRATION_STEPS, seed)

    each, spent = measure(budget, take_period) / period, 0.0
    if besides := method.besides(learner):
        times, work = besides
        spent = times * _once(budget.unit, work)
    if first:
        few = max(1, first // 10)
        spent += first / few * _once(budget.unit, lambda: learner.small_losses(few))
    learner.load_state_dict(weights)
    optimizer.load_state_dict(state)
    return max(1, int((budget.amount - spent) / each))


def spread(number: int) -> float:
    """The place of a number in the sequence of van der Corput, in [0, 1): 0, 1/2, 1/4, 3/4, 1/8, …, evenly spread."""
    return sum(float(bit) / 2.0 ** (at + 1) for at, bit in enumerate(reversed(f"{number:b}")))


def _seconds(budget: Budget, step: Callable[[int], Any]) -> float:
    allowed = min(CALIBRATION_SECONDS, CALIBRATION_SHARE * budget.amount)
    for warm in range(2):  # the first steps allocate memory and pick kernels
        step(warm)
    times: list[float] = []
    while len(times) < FEWEST or (sum(times) < allowed and len(times) < MOST):
        began = time.perf_counter()
        step(len(times) + 2)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _flops(_: Budget, step: Callable[[int], Any]) -> float:
    counted = _once("flops", lambda: [step(number) for number in range(FEWEST)])  # rows are not all of one length
    return max(1.0, counted / FEWEST)


def _once(unit: str, work: Callable[[], Any]) -> float:
    """The seconds or operations that `work` costs, done once."""
    from torch.utils.flop_counter import FlopCounterMode

    began = time.perf_counter()
    if unit == "seconds":
        work()
        return time.perf_counter() - began
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())
