"""Promises about forgetting: what is left is the model that never saw the rows."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from manyways.errors import NeedsError
from manyways.models.model import Model
from manyways.models.saving import load_model
from manyways.testing.trial import SEED, STEPS, Trial, difference, require, skip, weights

SOME = 3
"""Rows that are forgotten at once."""


def forgets_as_if_it_had_never_seen(trial: Trial) -> None:
    """The model that forgot some rows, and then others, is by the guarantee the one trained without them."""
    if trial.method.forgets is None:
        skip("it does not say that it forgets")
    first, second = _some(trial, 0), _some(trial, SOME)
    before = weights(trial.reference)
    once = trial.method.forget(trial.reference, trial.data, first)
    _alike(trial, once, first, "after forgetting")
    _alike(
        trial, trial.method.forget(once, trial.data.select(~first), second[~first]), first | second, "the second time"
    )
    _alike(trial, trial.method.forget(once, trial.data, first | second), first | second, "with those named again")
    with tempfile.TemporaryDirectory() as place:
        loaded = load_model(trial.reference.save(Path(place) / "model"))
        wrong = difference(once, trial.method.forget(loaded, trial.data, first))
    require(wrong is None, f"a model that was saved and loaded forgets otherwise: {wrong}.")
    changed = [name for name, tensor in weights(trial.reference).items() if not tensor.equal(before[name])]
    require(not changed, f"forgetting changed {', '.join(changed[:4])} of the model it was given.")


def forgotten_rows_are_in_no_file(trial: Trial) -> None:
    """No file of the model that forgot holds the id of a forgotten row."""
    if trial.method.forgets is None:
        skip("it does not say that it forgets")
    rows = _some(trial, 0)
    ids = [row.tobytes() for row in trial.data.ids[rows]]
    made = trial.method.forget(trial.reference, trial.data, rows)
    with tempfile.TemporaryDirectory() as place:
        for model, there in ((trial.reference, True), (made, False)):
            folder = model.save(Path(place) / "model")
            content = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
            found = sum(any(row in text for text in content) for row in ids)
            require(
                found == len(ids) * there, f"{found} of {len(ids)} ids are in the files{'' if there else ' still'}."
            )


def forgets_only_what_it_has_seen(trial: Trial) -> None:
    """It refuses to forget where no row shaped the model, or that is not possible, and says what to do."""
    method, data = trial.method, trial.data
    if method.approximate:
        skip("it proves nothing")
    if method.forgets is None:
        _refuses(trial, trial.reference, np.ones(len(data), bool), "it does not say that it forgets", "rain without")
        return
    rows, strange = _some(trial, 0), np.isin(data.part[data.rows], [2])
    _refuses(trial, trial.reference, strange, "the rows to be forgotten are test rows", "othing to forget")
    once = method.forget(trial.reference, data, rows)
    _refuses(trial, once, rows, "the rows are forgotten already", "othing to forget")
    _refuses(trial, once, _some(trial, SOME), "rows that the model has forgotten are to stay", "never shaped the model")


def says_that_it_proves_nothing(trial: Trial) -> None:
    """Rows that an approximate method forgets are still in the lineage, which says that nothing is proved."""
    method, data, start = trial.method, trial.data, trial.start
    if not method.approximate or start is None:
        skip("it does not forget approximately")
    rows = np.zeros(len(data), bool)
    rows[np.flatnonzero((data.part[data.rows] == 0) & data.labelled)[:SOME]] = True
    forgetful = method.forget(start, data, rows, budget=STEPS, seed=SEED)
    facts = forgetful.lineage.facts
    require(facts.get("proof") is False, f"the facts of its lineage are {dict(facts)}, without proof: false.")
    require(facts.get("forgotten") == SOME, f"{SOME} rows were to be forgotten; the facts say {dict(facts)}.")
    listed = {row.tobytes() for row in forgetful.lineage.all_rows()}
    lost = sum(row.tobytes() not in listed for row in data.ids[rows])
    require(not lost, f"{lost} of {SOME} rows are no more in the lineage, as if they had left no trace.")


def _some(trial: Trial, skip: int) -> NDArray[np.bool_]:
    """A few rows that shaped the model, but none before it: a mask over the trial's data."""
    before = trial.start.lineage.all_rows() if trial.start is not None else np.empty((0, 2), np.uint64)
    own = {row.tobytes() for row in trial.reference.lineage.all_rows()} - {row.tobytes() for row in before}
    shaping = np.flatnonzero([row.tobytes() in own for row in trial.data.ids])
    mask = np.zeros(len(trial.data), bool)
    mask[shaping[:: max(1, len(shaping) // (2 * SOME))][skip : skip + SOME]] = True
    return mask


def _alike(trial: Trial, model: Model, gone: NDArray[np.bool_], when: str) -> None:
    expected = trial.fit(trial.data.select(~gone))
    wrong = difference(expected, model) if trial.method.forgets == "bitwise" else _further(trial, expected, model)
    require(wrong is None, f"{when} the model is another than one trained without the rows: {wrong}.")
    ours, theirs = model.lineage, expected.lineage
    require(len(ours.stages()) == len(theirs.stages()), f"{when} its lineage has {len(ours.stages())} stages.")
    for our, their in zip(ours.stages(), theirs.stages(), strict=True):
        require(np.array_equal(our.rows, their.rows), f"{when} {our.title} lists {len(our.rows)} rows.")
        for name in ("method", "title", "seed", "budget", "data", "fingerprint", "steps", "facts", "plan", "machine"):
            given, wanted = getattr(our, name), getattr(their, name)
            require(given == wanted, f"{when} lineage.{name} of {our.title} is {given!r}, not {wanted!r}.")


def _further(trial: Trial, expected: Model, model: Model) -> str | None:
    """The place where parameters differ by more than the guarantee, as a share of the largest of their tensor."""
    allowed = float(trial.method.forgets or 0)
    ours, theirs = model.network.state_dict(), expected.network.state_dict()
    if ours.keys() != theirs.keys():
        return f"its weights have other names: {sorted(ours.keys() ^ theirs.keys())[:4]}"
    for name, tensor in ours.items():
        wanted = theirs[name]
        if tensor.shape != wanted.shape or not tensor.numel():
            if tensor.shape != wanted.shape:
                return f"{name} has the shape {tuple(tensor.shape)}, not {tuple(wanted.shape)}"
            continue
        apart = float((tensor.double() - wanted.double()).abs().max())
        largest = float(wanted.double().abs().max())
        if not apart <= allowed * largest:
            return f"{name} is {apart / max(largest, 1e-300):.1e} away, relative to its largest number"
    return None


def _refuses(trial: Trial, model: Model, rows: NDArray[np.bool_], case: str, advice: str) -> None:
    try:
        trial.method.forget(model, trial.data, rows)
    except NeedsError as error:
        require(advice in str(error), f"where {case}, the refusal does not say what to do: {error}")
        return
    require(False, f"where {case}, a model is given; NeedsError must be raised.")
