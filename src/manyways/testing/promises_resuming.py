"""Promises about interruptions: a run that was killed goes on where it stopped."""

import tempfile
from pathlib import Path

from manyways.errors import ModelError
from manyways.models.model import Model
from manyways.testing.trial import OTHER_SEED, Trial, answers, difference, require
from manyways.training.events import Event
from manyways.training.run import Run


class _Killed(BaseException):
    """Stands for a kill: nothing that a method catches."""


class _Killer:
    """A listener that ends the run after so many checkpoints."""

    def __init__(self, after: int) -> None:
        self._left = after

    def __call__(self, event: Event) -> None:
        if event.kind == "checkpoint":
            self._left -= 1
            if self._left == 0:
                raise _Killed


def killed_and_resumed_same_weights(trial: Trial) -> None:
    """A run that is killed, twice, and called again ends with bitwise the same weights."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        kills = 0
        for after in (3, 4):
            try:
                trial.fit(run=Run(folder, [_Killer(after)], checkpoint_seconds=0))
            except _Killed:
                kills += 1
        killed = kills == 2 or not trial.has_gradient
        require(killed, f"{kills} of 2 kills found a checkpoint: too few are written.")
        wrong = difference(trial.reference, trial.fit(run=Run(folder)))
        require(wrong is None, f"after a kill the weights are others: {wrong}.")
        again = difference(trial.reference, trial.fit(run=Run(folder)))
        require(again is None, f"called again after its end, the run gives another model: {again}.")


def other_run_is_refused(trial: Trial) -> None:
    """The folder of one run is not taken for another's."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        trial.fit(run=Run(folder))
        model: Model | None = None
        try:
            model = trial.fit(seed=OTHER_SEED, run=Run(folder))
        except ModelError as error:
            require(str(folder) in str(error), f"the refusal does not name the folder: {error}")
        require(model is None, "with another seed the run went on in the folder of the first.")


def listeners_make_no_difference(trial: Trial) -> None:
    """Listeners to a run, and evaluations of the model on the way, change nothing in it."""
    heard: list[str] = []

    def follow(event: Event) -> None:
        heard.append(event.kind)
        if event.model is not None:
            answers(event.model(), trial.data.test)

    wrong = difference(trial.reference, trial.fit(run=Run(None, [follow], evaluations=3)))
    require(wrong is None, f"with a listener that evaluates the model the weights are others: {wrong}.")
    if trial.has_gradient:
        missing = {"start", "step", "evaluate", "end"} - set(heard)
        require(not missing, f"listeners were never told of {', '.join(sorted(missing))}.")
