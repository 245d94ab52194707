"""Every method learns from images, tables, text and sound alike, and from numbers where it can predict them."""

import numpy as np
import pytest

from manyways.data.data import TRAINING, Data
from manyways.methods.active.active_learning import ActiveLearning
from manyways.methods.discovery import all_methods
from manyways.methods.method import Method
from manyways.methods.semi_supervised.self_training import SelfTraining
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model

KINDS = ("digits", "cancer", "sentences", "tones")
SEVERAL = {"inputs", "paired"}
"""What a method needs that none of these rows has: they have one input each."""
LEARNERS = {name: kind for name, kind in all_methods().items() if kind.needs and not SEVERAL & set(kind.needs)}
CLASSIFIERS = {  # one that only adapts a few-shot model has tests of its own
    name: kind for name, kind in LEARNERS.items() if "classify" in kind.gives and kind.takes != {"adapt"}
}
REGRESSORS = {name: kind for name, kind in LEARNERS.items() if "regress" in kind.gives}


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, digits: Data, cancer: Data, sentences: Data, tones: Data) -> Data:
    data: Data = {"digits": digits, "cancer": cancer, "sentences": sentences, "tones": tones}[request.param]
    some = data.select(np.random.default_rng(0).permutation(len(data))[:200])
    return some.with_labels(60).with_clients(5)


@pytest.fixture(scope="module")
def start(rows: Data) -> Model:
    """A model that embeds and classifies."""
    return Supervised().fit(rows, budget=4)


def _learn(kind: type[Method], data: Data, start: Model, budget: int) -> Model:
    """What `kind` learns: from `start` where it cannot from such rows alone, and from all rows if a step is one row.

    One that must be told what to forget is told a few of the rows with labels; one that learns task by task has two.
    """
    method = kind()
    if "task" in kind.needs:
        data = data.with_tasks(2)
    if "forget" in kind.needs:
        known = np.flatnonzero(data.labelled & (data.part[data.rows] == TRAINING))
        data = data.with_forgotten(known[:5])
    usual = method.default_budget(data)
    return method.fit(data, start if method.lacks(data) else None, budget=budget if usual.unit == "steps" else usual)


@pytest.mark.parametrize("rows", KINDS, indirect=True)
@pytest.mark.parametrize("kind", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_classifies_rows_of_every_kind(kind: type[Method], rows: Data, start: Model) -> None:
    model = _learn(kind, rows, start, 6)
    assert set(model.predict(rows.test)) <= set(rows.classes)
    probabilities = model.probabilities(rows.test)
    assert np.isfinite(probabilities).all()
    assert probabilities.std(0).max() > 1e-3, "every row gets the same answer"


@pytest.mark.parametrize("rows", KINDS, indirect=True)
def test_embeds_rows_of_every_kind_without_labels(rows: Data) -> None:
    method = all_methods()["simclr"]()
    unlabelled = rows.hide(np.arange(len(rows)))
    features = method.fit(unlabelled, budget=3).embed(rows.test)
    assert np.isfinite(features).all()
    assert features.std(0).max() > 1e-3


@pytest.mark.parametrize("kind", REGRESSORS.values(), ids=REGRESSORS)
def test_predicts_numbers(kind: type[Method], diabetes: Data) -> None:
    few = diabetes.with_labels(150).with_clients(5)
    start = Supervised().fit(few, budget=60)
    model = _learn(kind, few, start, 200)
    assert model.gives >= {"regress"}
    assert "classify" not in model.gives
    assert model.evaluate(diabetes.test)["r2"] > 0.2


@pytest.mark.parametrize("rows", ["sentences", "tones"], indirect=True)
def test_words_and_pitches_are_learned(rows: Data) -> None:
    """The kinds that have no published small data set here are learned, not only run through."""
    assert Supervised().fit(rows, budget=80).evaluate(rows.test)["accuracy"] > 0.8


@pytest.mark.parametrize("kind", [SelfTraining, ActiveLearning])
def test_rounds_start_from_what_their_base_starts_from(kind: type[Method], digits: Data) -> None:
    """A base that starts from a model makes the whole start from one, and is told so before anything is trained."""
    method = kind(base=all_methods()["fine-tune"]())  # type: ignore[call-arg]
    few = digits.with_labels(40)
    assert method.needs_start()
    assert "simclr >> " in str(method.lacks(few))
    model = method.fit(few, Supervised().fit(few, budget=2), budget=6)
    assert "supervised" in [stage.title for stage in model.lineage.stages()]
