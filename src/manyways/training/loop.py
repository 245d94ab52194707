"""The one loop: every gradient method is trained here."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manyways.errors import TrainingError
from manyways.training.budget import Budget, Planned
from manyways.training.checkpoint import (
    Checkpoint,
    load_optimizer,
    optimizer_tensors,
    read_checkpoint,
    write_checkpoint,
)
from manyways.training.early_stopping import EarlyStopping
from manyways.training.events import Event
from manyways.training.interruption import between_steps
from manyways.training.optimizer import make_optimizer, set_rates
from manyways.training.plan import plan_steps
from manyways.training.randomness import generator, mix, seed_global
from manyways.training.run import Run

if TYPE_CHECKING:
    from manyways.methods.gradient import GradientMethod
    from manyways.models.model import Model
    from manyways.training.learner import Learner

FINITE_EVERY = 10
OVERRUN = 1.5
"""A budget in seconds is a number of steps by the time they took at first; slower ones end the run at this multiple."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: steps done and planned, and seconds of training; whether the clock has ended it."""

    step: int
    steps: int
    seconds: float = 0.0
    cut: bool = False

    @property
    def planned(self) -> Planned:
        """What to tell another run, so that it takes the same steps."""
        return Planned(self.steps, self.step if self.cut else self.steps)


def train(
    method: "GradientMethod[Any]", learner: "Learner", budget: Budget, seed: int, run: Run, identity: str,
    snapshot: "Callable[[], Model]",
) -> Progress:  # fmt: skip
    """Train `learner` in place until `budget` is spent or validation stops improving.

    Ctrl-C ends it after the step under way, with a checkpoint where the run has a folder, and raises KeyboardInterrupt.
    Raises TrainingError when the loss is no longer finite or a checkpoint cannot be written.
    """
    learner.train()
    optimizer = make_optimizer(method, learner)
    stopping = EarlyStopping(method.patience, learner, snapshot)
    saved = read_checkpoint(run.folder, identity) if run.folder else None
    if saved:
        learner.load_state_dict(saved.under("learner"))
        load_optimizer(optimizer, saved.under("optimizer"))
        stopping.restore(saved.under("best"), saved.facts["stopping"])
        at = Progress(**saved.facts["progress"])
    else:
        method.prepare(learner)
        planned = run.planned
        steps = planned.steps if planned else plan_steps(method, learner, optimizer, budget, seed, take_step)
        at = Progress(0, steps)
        if run.folder:  # the plan must outlive a kill: seconds would be timed anew, with another number of steps
            write_checkpoint(run.folder, pack(learner, optimizer, stopping, at, identity))
    tell = _teller(run)
    tell("resume" if saved else "start", at)
    offered = {round(at.steps * (i + 1) / run.evaluations) for i in range(run.evaluations)}
    last_saved = time.monotonic()
    last = run.planned.last if run.planned else at.steps
    with between_steps(run.folder is not None) as interrupted:
        while at.step < last and not stopping.done:
            began = time.perf_counter()
            parts = take_step(method, learner, optimizer, at.step, at.steps, seed)
            at = replace(at, step=at.step + 1, seconds=at.seconds + time.perf_counter() - began)
            if at.step % FINITE_EVERY == 0 or at.step == at.steps:
                values = {name: float(part) for name, part in parts.items()}
                _check_finite(values, at)
                tell("step", at, values)
            stopping.look(at.step, at.steps, method.changes(learner, at.step))
            if at.step in offered:
                tell("evaluate", at, model=snapshot)
            ends = interrupted()
            if run.folder and (ends or time.monotonic() - last_saved >= run.checkpoint_seconds):
                write_checkpoint(run.folder, pack(learner, optimizer, stopping, at, identity))
                tell("checkpoint", at)
                last_saved = time.monotonic()
            if ends:
                raise KeyboardInterrupt
            slow = budget.unit == "seconds" and at.seconds > OVERRUN * budget.amount and not run.planned
            if at.step < at.steps and (slow or at.step == last):
                at = replace(at, cut=True)
                break
    stopping.finish()
    tell("stop" if at.step < at.steps else "end", at)
    return at


def take_step(
    method: "GradientMethod[Any]",
    learner: "Learner",
    optimizer: torch.optim.Optimizer,
    step: int,
    steps: int,
    seed: int,
) -> dict[str, Tensor]:
    """One step: draw, loss, gradient, update, after. Returns the named parts of the loss."""
    learner.steps = steps
    seed_global(mix(seed, step, 1), learner.device)  # dropout: a function of (seed, step), as the batch is
    batch = method.draw(learner, step, generator(seed, step))
    with method.autocast(learner.device):
        loss, parts = method.loss(learner, batch)
    optimizer.zero_grad(set_to_none=True)
    method.backward(learner, loss, parts)
    method.clip_gradients([p for group in optimizer.param_groups for p in group["params"]])
    set_rates(optimizer, method, step, steps)
    optimizer.step()
    method.after(learner, step)
    return {"loss": loss.detach(), **{name: part.detach() for name, part in parts.items()}}


def pack(
    learner: "Learner", optimizer: torch.optim.Optimizer, stopping: EarlyStopping, at: Progress, identity: str
) -> Checkpoint:
    """All that `train` needs to go on from here."""
    tensors = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(optimizer).items()}
    tensors |= {f"best.{name}": tensor for name, tensor in stopping.best.items()}
    progress = {"step": at.step, "steps": at.steps, "seconds": at.seconds}
    return Checkpoint(tensors, {"identity": identity, "progress": progress, "stopping": stopping.facts()})


def _teller(run: Run) -> Callable[..., None]:
    def tell(kind: Any, at: Progress, values: dict[str, float] | None = None, model: Any = None) -> None:
        run.tell(Event(kind, run.stage, at.step, at.steps, at.seconds, values or {}, model))

    return tell


def _check_finite(values: dict[str, float], at: Progress) -> None:
    if wrong := {name: value for name, value in values.items() if not abs(value) < float("inf")}:
        raise TrainingError(
            f"The loss is not finite at step {at.step} of {at.steps}: "
            f"{', '.join(f'{name} = {value}' for name, value in wrong.items())}. Try a tenth of the learning rate."
        )


def autocast(precision: str, device: torch.device) -> Any:
    """The context that the loss is computed in: bfloat16 where the hardware multiplies it faster, or where asked."""
    if precision == "float32" or (precision == "auto" and not fast_bfloat16(device)):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def fast_bfloat16(device: torch.device) -> bool:
    """Whether `device` has matrix units for bfloat16; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
