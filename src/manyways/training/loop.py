"""The one loop: every gradient method is trained here."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manyways.models.precision import fast_bfloat16
from manyways.randomness import generator, mix, seed_global
from manyways.training.budget import Budget
from manyways.training.checkpoint import read_checkpoint, write_checkpoint
from manyways.training.events import Event
from manyways.training.interruption import between_steps
from manyways.training.last_good import not_finite
from manyways.training.optimizer import set_rates
from manyways.training.plan import plan_steps
from manyways.training.run import Run
from manyways.training.state import Progress, State
from manyways.training.steps import LearnerT, Steps

if TYPE_CHECKING:
    from manyways.models.model import Model

FINITE_EVERY = 10
OVERRUN = 1.5
"""A budget in seconds is a number of steps by the time they took at first; slower ones end the run at this multiple."""


def train(
    method: Steps[LearnerT], learner: LearnerT, budget: Budget, seed: int, run: Run, identity: str,
    snapshot: "Callable[[], Model]",
) -> Progress:  # fmt: skip
    """Train `learner` in place until `budget` is spent or validation stops improving.

    Ctrl-C ends it after the step under way, with a checkpoint where the run has a folder, and raises KeyboardInterrupt.
    Where training diverges, a learner with a `recovery` ends with its last good weights, and a caution that says so.

    Raises:
        TrainingError: Training diverged and no weights were kept, or a checkpoint cannot be written.
    """
    learner.train()
    state = State(method, learner, identity, snapshot)
    stopping = state.stopping
    saved = read_checkpoint(run.folder, identity) if run.folder else None
    if saved:
        at = state.restore(saved)
    else:
        _prepare(method, learner)
        planned = run.planned
        steps = planned.steps if planned else plan_steps(method, learner, state.optimizer, budget, seed, take_step)
        at = Progress(0, steps)
        if run.folder:  # the plan must outlive a kill: seconds would be timed anew, with another number of steps
            write_checkpoint(run.folder, state.pack(at))
    tell = _teller(run)
    tell("resume" if saved else "start", at)
    offers = _offers(run.evaluations, at.steps, learner.milestones(at.steps))
    last_saved = time.monotonic()
    last = run.planned.last if run.planned else at.steps
    with between_steps(run.folder is not None) as interrupted:
        while at.step < last and not (stopping.done or at.cut):
            began = time.perf_counter()
            parts = take_step(method, learner, state.optimizer, at.step, at.steps, seed)
            at = replace(at, step=at.step + 1, seconds=at.seconds + time.perf_counter() - began)
            if at.step % FINITE_EVERY == 0 or at.step == at.steps:
                values = {name: float(part) for name, part in parts.items()}
                if trouble := not_finite(values, at.step, at.steps) or state.kept.trouble(at.steps):
                    at = replace(at, caution=state.kept.put_back(trouble))
                    tell("diverge", at, note=at.caution)
                    break
                tell("step", at, values)
            state.kept.look(at.step, at.steps)
            stopping.look(at.step, at.steps)
            for kind, note in offers.get(at.step, ()):
                tell(kind, at, model=snapshot, note=note)
            ends = interrupted()
            due = ends or time.monotonic() - last_saved >= run.checkpoint_seconds
            if run.folder and due and _all_finite(parts):
                write_checkpoint(run.folder, state.pack(at))
                tell("checkpoint", at)
                last_saved = time.monotonic()
            if ends:
                raise KeyboardInterrupt
            slow = budget.unit == "seconds" and at.seconds > OVERRUN * budget.amount and not run.planned
            if at.step < at.steps and (slow or at.step == last):
                at = replace(at, cut=True)
                break
    stopping.finish()
    if learner.erase_secrets(at.step) and run.folder:
        write_checkpoint(run.folder, state.pack(at))
    tell("stop" if at.step < at.steps else "end", at)
    return at


def take_step(
    method: Steps[LearnerT],
    learner: LearnerT,
    optimizer: torch.optim.Optimizer,
    step: int,
    steps: int,
    seed: int,
) -> dict[str, Tensor]:
    """Take one step: draw, gradients of the loss, update, after. Return the loss and its parts by name."""
    learner.steps = steps
    seed_global(mix(seed, step, 1), learner.device)  # dropout: a function of (seed, step), as the batch is
    batch = method.draw(learner, step, generator(seed, step))
    optimizer.zero_grad(set_to_none=True)
    parts = method.gradients(learner, batch)
    method.clip_gradients([p for group in optimizer.param_groups for p in group["params"]])
    set_rates(optimizer, method, step, steps)
    optimizer.step()
    method.after(learner, step)
    return parts


def _prepare(method: Steps[LearnerT], learner: LearnerT) -> None:
    """Let the method, and what picks the rows, compute what the steps need."""
    method.prepare(learner)
    learner.prepare()


def _offers(evaluations: int, steps: int, milestones: Mapping[int, str]) -> dict[int, list[tuple[str, str]]]:
    """After which steps listeners are offered the model: the kind of the event, and its note."""
    offers: dict[int, list[tuple[str, str]]] = {}
    for step in sorted({round(steps * (at + 1) / evaluations) for at in range(evaluations)}):
        offers.setdefault(step, []).append(("evaluate", ""))
    for step, note in milestones.items():
        offers.setdefault(step, []).append(("milestone", note))
    return offers


def _teller(run: Run) -> Callable[..., None]:
    def tell(
        kind: Any, progress: Progress, values: dict[str, float] | None = None, model: Any = None, note: str = ""
    ) -> None:
        run.tell(Event(kind, run.stage, progress.step, progress.steps, progress.seconds, values or {}, model, note))

    return tell


def _all_finite(parts: dict[str, Tensor]) -> bool:
    """True if a checkpoint is worth writing: one of weights gone wrong would replace the last that is not."""
    return all(bool(part.isfinite().all()) for part in parts.values())


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context that the loss is computed in: bfloat16 where the hardware multiplies it faster, or where asked."""
    if precision == "float32" or (precision == "auto" and not fast_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
