"""Promises about lineage: which method, data, seed, models and rows shaped the weights."""

import numpy as np
from numpy.typing import NDArray

from manyways.methods.method import Chain, Method
from manyways.testing.trial import SEED, STEPS, Trial, require
from manyways.training.budget import Budget


def lineage_says_how(trial: Trial) -> None:
    """The lineage holds the method with all fields, the data, the seed, the budget and the versions."""
    lineage, method = trial.reference.lineage, trial.method
    expected = {
        "method": method.to_json(),
        "title": str(method),
        "seed": SEED,
        "budget": str(Budget(STEPS)),
        "data": trial.learned_from.name,
        "fingerprint": trial.learned_from.fingerprint,
    }
    for name, value in expected.items():
        given = getattr(lineage, name)
        require(given == value, f"lineage.{name} is {given!r}, not {value!r}.")
    require(bool(lineage.versions.get("torch")), "lineage.versions does not name the version of torch.")
    require(lineage.seconds >= 0, f"lineage.seconds is {lineage.seconds}.")


def lineage_knows_the_rows(trial: Trial) -> None:
    """The lineage lists the rows that shaped the model: all of those, and no others."""
    data, method = trial.data, trial.method
    rows = _set(trial.reference.lineage.all_rows())
    training, labelled = _set(data.training.ids), _set(data.training.ids[data.training.labelled])
    outside = rows - training
    require(not outside, f"{len(outside)} rows are listed that are no training rows.")
    if method.single_pass:
        spent = trial.reference.lineage.steps
        require(len(rows) == spent, f"{spent} steps are as many rows, and {len(rows)} are listed.")
        return
    if _learns_from_labels(method):
        missing = labelled - rows
        require(not missing, f"{len(missing)} of {len(labelled)} labelled rows are not listed.")
    if _learns_from_everything(method):
        require(rows == training, f"it learns from all {len(training)} rows, but {len(rows)} are listed.")
    elif not method.needs_data():
        own = len(trial.reference.lineage.rows)
        require(own == 0, f"it learns from no data, but {own} rows of its own are listed.")
    elif trial.start is None and not method.asks(len(labelled)) and not isinstance(method, Chain):
        require(rows == labelled, f"it learns from {len(labelled)} rows, but {len(rows)} are listed.")


def lineage_knows_the_parents(trial: Trial) -> None:
    """The lineage holds that of every model it was learned from."""
    if trial.start is not None:
        stages = [stage.title for stage in trial.reference.lineage.stages()]
        start = trial.start.lineage
        require(start.title in stages, f"{start.title} is not in it; there are {', '.join(stages)}.")
        missing = _set(start.all_rows()) - _set(trial.reference.lineage.all_rows())
        require(not missing, f"{len(missing)} rows of the model it started from are not listed.")
    if isinstance(trial.method, Chain):
        stages = [stage.title for stage in trial.reference.lineage.stages()]
        for stage in trial.method.stages:
            require(str(stage) in stages, f"{stage} is not in it; there are {', '.join(stages)}.")


def _set(ids: NDArray[np.uint64]) -> set[tuple[int, int]]:
    return {(int(first), int(second)) for first, second in ids}


def _learns_from_labels(method: Method) -> bool:
    stages = method.stages if isinstance(method, Chain) else (method,)
    return any(need in stage.needs for stage in stages for need in ("label", "labels", "classes", "examples"))


def _learns_from_everything(method: Method) -> bool:
    stages = method.stages if isinstance(method, Chain) else (method,)
    return any(
        ("unlabelled" in stage.needs and not stage.asks(10)) or (stage.needs_data() and not _learns_from_labels(stage))
        for stage in stages
    )
