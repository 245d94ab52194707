"""Promises about the store: a model that comes out of it is the model that was kept."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.lineage.store.store import Store
from manyways.lineage.store.weight_store import weights_hash
from manyways.methods.starts import starts
from manyways.models.model import Model
from manyways.testing.trial import SEED, STEPS, Trial, answers, difference, require, takes

WORDS = ("red", "green", "blue", "round", "square", "long")


def out_of_a_store_it_is_the_same(trial: Trial) -> None:
    """A model out of a store answers, is written and is a start as the one that was kept, whatever its inputs' names.

    A method that starts from a model and learns from several inputs is tried with some whose names are in no order.
    """
    wide = _wide(trial)
    with tempfile.TemporaryDirectory() as place:
        store = Store(Path(place) / "store")
        model = _through(store, wide.reference, wide.learned_from)
        start = _through(store, wide.start, wide.learned_from) if wide.start is not None else None
        same = weights_hash(wide.reference, Path(place)) == weights_hash(model, Path(place))
        problems = store.check().problems
    require(not problems, f"the store is not whole: {'; '.join(problems)}.")
    for name, said in answers(wide.reference, wide.data.test).items():
        require(np.array_equal(said, answers(model, wide.data.test)[name]), f"the kept model gives other {name}.")
    require(same, "what it is written as is another, or in another order.")
    if start is not None:
        made = wide.method.fit(wide.learned_from, start, budget=STEPS, seed=SEED)
        wrong = difference(wide.reference, made)
        require(wrong is None, f"from a start out of a store the weights are others: {wrong}.")


def _through(store: Store, model: Model, data: Data) -> Model:
    return store.load(store.keep(model, data))


def _wide(trial: Trial) -> Trial:
    """The trial with inputs in no order, where its method starts from a model of such data; else as it is."""
    if not trial.data.inputs or trial.start is None:
        return trial
    wide = trial.on(_with_inputs_in_no_order(trial.data))
    able = wide.method.lacks_of(wide.data) is None and bool(starts(takes(wide.method), wide.data))
    return wide if able else trial


def _with_inputs_in_no_order(data: Data) -> Data:
    """`data` with a text before its inputs whose name sorts last, and a number and a text behind that sort first."""
    count, rng = len(data.part), np.random.default_rng(0)
    texts = [np.array([" ".join(rng.choice(WORDS, 4)) for _ in range(count)], object) for _ in range(2)]
    first, number, last = (
        Column("zz words", "text", texts[0]),
        Column("bb number", "number", rng.normal(size=count)),
        Column("aa words", "text", texts[1]),
    )
    names = (first.name, *data.roles["input"], number.name, last.name)
    columns = {**data.columns, **{each.name: each for each in (first, number, last)}}
    return replace(data, columns=columns, roles={**data.roles, "input": names})
