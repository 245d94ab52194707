"""Promises about lineage: which method, data, seed, models and rows shaped the weights."""

import json

import numpy as np
from numpy.typing import NDArray

from manyways.data.columns import places_of
from manyways.lineage.forgetting.retraining import SourceModels, retrain
from manyways.methods.chain import Chain
from manyways.methods.method import Method
from manyways.methods.needs import Domain, Examples, Unlabelled
from manyways.methods.saved import functions_in
from manyways.methods.starts import learns_from_labels, needs_any, needs_data
from manyways.testing.trial import SEED, STEPS, Trial, difference, require, skip
from manyways.training.budget import Budget
from manyways.training.run import Run
from manyways.typed import function_typed

FORGOTTEN = 5
"""Rows that are left out when a model is learned again."""


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
    elif not needs_data(method):
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


def other_rows_make_no_difference(trial: Trial) -> None:
    """Training rows that the lineage does not list make no difference, where the encoders come with the start.

    Encoders that a method fits itself see all training rows; a store counts those as having reached the model, too.
    """
    if trial.start is None or not needs_data(trial.method) or not len(trial.data.training):
        skip("it starts from no model, or learns from no rows")
    rows = trial.data.training.ids
    strange = rows[places_of(rows, trial.reference.lineage.all_rows()) < 0]
    if len(strange):
        wrong = difference(trial.reference, trial.fit(trial.data.without(strange)))
        require(wrong is None, f"without {len(strange)} rows that are not listed the weights are others: {wrong}.")


def lineage_is_enough_to_learn_it_again(trial: Trial) -> None:
    """The lineage, as JSON, gives the model again; without some rows the one that fit gives without them."""
    saved = json.loads(json.dumps(trial.reference.lineage.to_json()))
    rest = trial.learned_from
    if len(rest.training) > FORGOTTEN:
        some = rest.training.ids[:: max(1, len(rest.training) // FORGOTTEN)]
        rest = rest.without(some)
    expected = trial.fit(rest) if rest is not trial.learned_from else trial.reference
    typed = {name: function_typed(name, place) for place, name in functions_in(saved["method"])}
    wrong = difference(expected, retrain(saved, rest, SourceModels(trial.start), Run(), typed))
    require(wrong is None, f"learned again by its lineage it is another: {wrong}.")


def _set(ids: NDArray[np.uint64]) -> set[tuple[int, int]]:
    return {(int(first), int(second)) for first, second in ids}


def _learns_from_labels(method: Method) -> bool:
    return learns_from_labels(method) or needs_any(method, Examples)


def _learns_from_everything(method: Method) -> bool:
    stages = method.stages if isinstance(method, Chain) else (method,)
    return any(
        ({Unlabelled, Domain} & set(stage.needs) and not stage.asks(10))
        or (stage.needs and not _learns_from_labels(stage))
        for stage in stages
    )
