"""Every method learns from images, tables, text and sound alike, and from numbers where it can predict them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.methods.active.active_learning import ActiveLearning
from manyways.methods.discovery import all_methods
from manyways.methods.method import Method
from manyways.methods.search.tune import Tune
from manyways.methods.semi_supervised.co_training import CoTraining
from manyways.methods.semi_supervised.self_training import SelfTraining
from manyways.methods.supervised.gradient_boosting import GradientBoosting
from manyways.methods.supervised.majority import Majority
from manyways.methods.supervised.random_forest import RandomForest
from manyways.methods.supervised.supervised import Supervised
from manyways.models.model import Model

TREES = (GradientBoosting, RandomForest)
"""Methods that learn from numbers and categories alone, and refuse texts."""
KINDS = ("digits", "cancer", "sentences", "tones")
HAVE = frozenset({"input", "label", "classes", "unlabelled", "examples"})
"""What the rows here meet, of what a method may need."""
GIVEN: dict[str, Callable[[Data], Data]] = {
    "client": lambda data: data.with_clients(5),
    "task": lambda data: data.with_tasks(2),
    "forget": lambda data: data.with_forgotten(np.arange(len(data)) % 5 == 0),
}
"""And what they are given where a method needs it."""


def _learners(gives: str) -> dict[str, type[Method]]:
    """The methods that learn from such rows and make models that give this."""
    found = {name: kind for name, kind in all_methods().items() if gives in kind.gives}
    # Several inputs or labels cannot be given to rows of one; those that only adapt a few-shot model have own tests.
    return {
        name: kind
        for name, kind in found.items()
        if kind not in (Majority, CoTraining)  # one answers every row alike, the other needs two views of each
        and kind.needs
        and HAVE | GIVEN.keys() >= set(map(str, kind.needs))
        and kind.takes != {"adapt"}
    }


CLASSIFIERS, REGRESSORS = _learners("classify"), _learners("regress")


def _with_needs(kind: type[Method], data: Data) -> Data:
    """`data` with what `kind` needs and it has not."""
    for need in GIVEN.keys() & set(map(str, kind.needs)):
        data = GIVEN[need](data)
    return data


@pytest.fixture(scope="module")
def rows(request: pytest.FixtureRequest, digits: Data, cancer: Data, sentences: Data, tones: Data) -> Data:
    data: Data = {"digits": digits, "cancer": cancer, "sentences": sentences, "tones": tones}[request.param]
    return data.select(np.random.default_rng(0).permutation(len(data))[:200]).with_labels(60, draw="stratified")


@pytest.fixture(scope="module")
def start(rows: Data) -> Model:
    """A model that embeds and classifies."""
    return Supervised().fit(rows, budget=4)


def _learn(kind: type[Method], data: Data, start: Model, budget: int) -> Model:
    """What `kind` learns: from `start` where it cannot from such rows alone, and from all rows if a step is one row."""
    method, data = kind.for_trial(data, Path()) if kind is Tune else kind(), _with_needs(kind, data)
    begun = start if method.lacks(data) else None
    if lacking := method.lacks(data, begun):
        assert kind in TREES, lacking
        pytest.skip(lacking)
    usual = method.default_budget(data)
    steps = max(budget, method.fewest_steps())
    return method.fit(data, begun, budget=steps if usual.unit == "steps" else usual)


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
    few = diabetes.with_labels(150, draw="stratified")
    start = Supervised().fit(few, budget=60)
    model = _learn(kind, few, start, 60)
    assert model.gives >= {"regress"}
    assert "classify" not in model.gives
    assert model.evaluate(diabetes.test)["r2"] > 0.1, "hardly better than the mean"


@pytest.mark.parametrize("rows", ["sentences", "tones"], indirect=True)
def test_words_and_pitches_are_learned(rows: Data) -> None:
    """The kinds that have no published small data set here are learned, not only run through."""
    assert Supervised().fit(rows, budget=80).evaluate(rows.test)["accuracy"] > 0.8


@pytest.mark.parametrize("kind", [SelfTraining, ActiveLearning])
def test_rounds_start_from_what_their_base_starts_from(kind: type[Method], digits: Data) -> None:
    """A base that starts from a model makes the whole start from one, and is told so before anything is trained."""
    method = kind(base=all_methods()["fine-tune"]())  # type: ignore[call-arg]
    few = digits.with_labels(40, draw="stratified")
    assert method.needs_start()
    assert "simclr >> " in str(method.lacks(few))
    model = method.fit(few, Supervised().fit(few, budget=2), budget=6)
    assert "supervised" in [stage.title for stage in model.lineage.stages()]
