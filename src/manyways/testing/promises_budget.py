"""Promises about budgets: what was allowed is what was spent."""

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

from manyways.methods.bases.gradient import GradientMethod
from manyways.randomness import generator
from manyways.testing.trial import SEED, STEPS, Trial, require, skip
from manyways.training.budget import Budget
from manyways.training.learner import Learner
from manyways.training.loop import OVERRUN, take_step
from manyways.training.optimizer import make_optimizer

SECONDS = 0.5
SEVERAL = 4
"""Periods over which operations are counted: the rows of one may be longer than those of another."""


def steps_are_honoured(trial: Trial) -> None:
    """A budget in steps is kept: exactly by a gradient method, never exceeded by any."""
    spent = trial.reference.lineage.steps
    exact = spent == STEPS or not isinstance(trial.method, GradientMethod)
    require(exact and spent <= STEPS, f"{STEPS} steps were allowed and {spent} were taken.")


def examples_are_honoured(trial: Trial) -> None:
    """A budget in examples buys as many steps as there are batches in it."""
    method = trial.method
    if not isinstance(method, GradientMethod):
        skip("it takes no steps by gradients")
    learner = method.begin(trial.data, trial.start, SEED)
    counted = method.examples_per_step(learner)
    with patch.object(learner, "pick", wraps=learner.pick) as picked:
        method.draw(learner, 0, generator(SEED, 0))
    drawn = sum(call.args[1] or learner.batch_size for call in picked.call_args_list)
    require(drawn in (0, counted), f"examples_per_step says {counted}, but a step draws {drawn} rows.")
    spent = trial.fit(budget=Budget(counted * 3.5, "examples")).lineage.steps
    require(spent == 3, f"3.5 batches of examples were allowed, which is 3 steps, and {spent} were taken.")


def seconds_are_honoured(trial: Trial) -> None:
    """A budget in seconds is kept to within half of it."""
    if not trial.has_gradient:
        skip("it takes no steps")
    lineage = trial.fit(budget=Budget(SECONDS, "seconds")).lineage
    # Every training in it takes one step at least, however long that lasts.
    most = OVERRUN * SECONDS + 2 * lineage.seconds / max(1, lineage.steps) * _trainings(trial)
    require(lineage.seconds <= most, f"{SECONDS} s were allowed and {lineage.seconds:.2f} s were trained.")
    least = 0 if trial.method.single_pass else SECONDS / 10
    require(lineage.seconds >= least, f"of {SECONDS} s allowed only {lineage.seconds:.3f} s were trained.")


def flops_are_honoured(trial: Trial) -> None:
    """A budget in floating-point operations buys as many steps as their count allows."""
    method = trial.method
    if not isinstance(method, GradientMethod) or not trial.has_gradient:  # asking trains: what is done once, is done
        skip("it takes no steps by gradients")
    learner, period = method.begin(trial.data, trial.start, SEED), method.period()
    few, more = (_flops(partial(trial.fit, budget=count * period + 2)) for count in (1, 1 + SEVERAL))
    each, besides = (more - few) / (SEVERAL * period), 0
    if found := method.besides(learner):
        times, work = found
        besides = times * _flops(work)
    bought = max(each, 1) * 4.5
    spent = trial.fit(budget=Budget(bought + besides, "flops")).lineage.steps
    costs = [cost / period for cost in _periods(trial, learner)]  # those of text differ by the lengths of its rows
    fewest, most = (int(bought / max(cost, 1)) if min(costs) < max(costs) else 4 for cost in (max(costs), min(costs)))
    require(
        fewest <= spent <= most,
        f"operations for 4.5 steps were allowed ({each:,} each: {fewest} to {most} steps), and {spent} were taken.",
    )


def _periods(trial: Trial, learner: Learner) -> list[int]:
    """The operations of the first periods of a run."""
    method: Any = trial.method
    method.prepare(learner)
    optimizer, period = make_optimizer(method, learner), method.period()

    def take(number: int) -> None:
        for step in range(number * period, (number + 1) * period):
            take_step(method, learner, optimizer, step, 1000, SEED)

    return [_flops(partial(take, number)) for number in range(SEVERAL)]


def _flops(work: Callable[[], object]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def _trainings(trial: Trial) -> int:
    return max(1, len(trial.reference.lineage.stages()))
