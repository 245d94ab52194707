"""ActiveLearning: it asks for the rows it is unsure of, and sees no other hidden label."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.errors import DataError, NeedsError
from manyways.methods.active.active_learning import ActiveLearning
from manyways.methods.bases.acquisition import ACQUISITIONS
from manyways.methods.bases.acquisition.pool import Pool
from manyways.methods.bases.acquisition.uncertainty import Entropy, LeastConfidence, Margin
from manyways.methods.bases.relabelling import hidden
from manyways.methods.semi_supervised.fixmatch import FixMatch
from manyways.methods.transfer.linear_probe import LinearProbe
from manyways.models.model import Model

BASE = LinearProbe(penalty=1.0)


def pool_of(few: Data, model: Model) -> Pool:
    """The hidden training rows as a pool."""
    return Pool(few, hidden(few), model)


P = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])


@pytest.mark.quick
def test_uncertainties_by_hand() -> None:
    np.testing.assert_allclose(LeastConfidence().uncertainty(P), [0.3, 0.6, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(Margin().uncertainty(P), [-0.5, -0.05, 0.0, -1.0], atol=1e-6)
    entropies = [-sum(p * math.log(p) for p in row if p > 0) for row in P.astype(float).tolist()]
    np.testing.assert_allclose(Entropy().uncertainty(P), entropies, atol=1e-6)


def _rows(ids: np.ndarray) -> set[tuple[int, int]]:  # type: ignore[type-arg]
    return {(int(a), int(b)) for a, b in ids}


def _asked(model: Model, few: Data) -> set[tuple[int, int]]:
    return _rows(model.lineage.rows) - _rows(few.training.ids[few.training.labelled])


@pytest.mark.parametrize("strategy", ["margin", "entropy", "least-confidence"])
def test_asks_for_the_rows_it_is_least_sure_of(strategy: Any, digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    model = ActiveLearning(base=BASE, strategy=strategy, questions=15, rounds=1).fit(few)
    unseen = few.training.select(~few.training.labelled)
    doubt = ACQUISITIONS.find(strategy)().scores(pool_of(few, BASE.fit(few)), np.random.default_rng(0))
    expected = _rows(unseen.ids[np.argsort(-doubt, kind="stable")[:15]])
    assert _asked(model, few) == expected


def test_random_asks_for_other_rows_with_another_seed(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    method = ActiveLearning(base=BASE, strategy="random", questions=20, rounds=2)
    first, second = (_asked(method.fit(few, seed=seed), few) for seed in (0, 1))
    assert len(first) == len(second) == 20
    assert first != second


def test_other_hidden_labels_are_never_seen(digits: Data) -> None:
    """With the labels that it did not ask for mixed up, the model is bitwise the same."""
    few = digits.with_labels(40, draw="stratified")
    method = ActiveLearning(base=BASE, questions=24, rounds=3)
    model = method.fit(few)
    used = _rows(model.lineage.rows)
    unasked = np.array(
        [i for i, row in enumerate(few.ids) if few.part[few.rows[i]] == 0 and tuple(map(int, row)) not in used]
    )
    mixed = few.with_label_values(unasked, np.roll(few.take("label")[unasked], 7)).hide(unasked)
    again = method.fit(mixed)
    assert _rows(again.lineage.rows) == used
    assert np.array_equal(model.outputs(digits.test), again.outputs(digits.test))


def test_oracle_is_called_with_the_rows_and_believed(digits: Data) -> None:
    few = digits.with_labels(40, draw="stratified")
    calls: list[Data] = []

    def oracle(rows: Data) -> Sequence[int]:
        calls.append(rows)
        assert not rows.labelled.any(), "a labelled row was asked for"
        return list((rows.take("label") + 1) % 10)

    method = ActiveLearning(base=BASE, questions=30, rounds=3, oracle=oracle)
    model = method.fit(few)
    assert [len(rows) for rows in calls] == [10, 10, 10]
    asked = set().union(*(_rows(rows.ids) for rows in calls))
    assert len(asked) == 30
    assert _asked(model, few) == asked
    truthful = ActiveLearning(base=BASE, questions=30, rounds=3).fit(few)
    lie = model.evaluate(digits.test)["accuracy"]
    assert lie < truthful.evaluate(digits.test)["accuracy"] - 0.1, "the oracle's answers made no difference"


def test_oracle_that_gives_too_few_answers_is_refused(digits: Data) -> None:
    method = ActiveLearning(base=BASE, questions=5, rounds=1, oracle=lambda rows: [1])
    with pytest.raises(DataError, match="asked for 5 labels and gave 1"):
        method.fit(digits.with_labels(40, draw="stratified"))


def test_questions_are_spread_over_the_rounds(digits: Data) -> None:
    few = digits.with_labels(20, draw="stratified")
    model = ActiveLearning(base=BASE, questions=7, rounds=3).fit(few)
    labels = [len(parent.rows) for parent in model.lineage.parents]
    assert labels == [20, 22, 25, 27]
    assert model.lineage.facts == {"asked": [2, 3, 2]}


@pytest.mark.quick
def test_asks_for_half_of_a_comparisons_labels() -> None:
    assert ActiveLearning().asks(40) == 20
    assert ActiveLearning(questions=5).asks(40) == 5
    assert ActiveLearning(questions=500).asks(40) == 39


def test_more_questions_than_answers_are_refused_before_training(digits: Data) -> None:
    few = digits.select(np.arange(100)).with_labels(40, draw="stratified")
    with pytest.raises(NeedsError, match=r"it asks for 5000 labels, and .* training rows have a hidden label"):
        ActiveLearning(base=BASE, questions=5000).fit(few)
    left = int((~few.training.labelled).sum())
    with pytest.raises(NeedsError, match="needs rows without a label, and it asks for all"):
        ActiveLearning(base=FixMatch(), questions=left).fit(few)


def test_what_it_asks_for_serves_better_than_chance(cancer: Data) -> None:
    """On a table where few rows lie near the border, the margin finds them: over five draws it beats random."""

    def score(strategy: Any) -> float:
        method = ActiveLearning(base=BASE, strategy=strategy, questions=20, rounds=5)
        models = [method.fit(cancer.with_labels(8, seed, draw="stratified"), seed=seed) for seed in range(5)]
        return float(np.mean([model.evaluate(cancer.test)["accuracy"] for model in models]))

    assert score("margin") > score("random")


@pytest.mark.quick
def test_oracle_is_written_without_its_address(digits: Data) -> None:
    """What a run is known by must be the same in the next process."""
    written = str(ActiveLearning(oracle=_truth))
    assert "_truth" in written
    assert "0x" not in written


def _truth(rows: Data) -> Sequence[Any]:
    return list(rows.take("label"))


@pytest.mark.parametrize("answers", [[None], [3.7], ["3"], [[3]], None], ids=str)
def test_an_answer_that_is_no_label_is_refused(answers: Any, digits: Data) -> None:
    def oracle(rows: Data) -> Any:
        return answers and answers * len(rows)

    with pytest.raises(DataError, match="is no label|asked for 8 labels and gave 1"):
        ActiveLearning(base=BASE, questions=8, rounds=1, oracle=oracle).fit(digits.with_labels(40, draw="stratified"))


def test_an_oracle_may_answer_in_arrays_and_name_a_new_class(digits: Data) -> None:
    def oracle(rows: Data) -> Any:
        return np.full(len(rows), 77)

    model = ActiveLearning(base=BASE, questions=8, rounds=1, oracle=oracle).fit(
        digits.with_labels(40, draw="stratified")
    )
    assert model.target is not None
    assert 77 in model.target.classes


def test_every_round_asks_the_model_of_that_round(digits: Data) -> None:
    """The second questions are those of a model that knows the answers to the first ones."""
    few = digits.with_labels(40, draw="stratified")
    model = ActiveLearning(base=BASE, questions=20, rounds=2).fit(few)
    first = few.training.select(~few.training.labelled)
    asked = first.ids[np.argsort(-Margin().uncertainty(BASE.fit(few).probabilities(first)), kind="stable")[:10]]
    known = np.isin(few.ids[:, 0], asked[:, 0]) & (few.part[few.rows] == 0)
    second = few.reveal(np.flatnonzero(known))
    left = second.training.select(~second.training.labelled)
    doubt = Margin().uncertainty(BASE.fit(second).probabilities(left))
    then = left.ids[np.argsort(-doubt, kind="stable")[:10]]
    assert _asked(model, few) == _rows(asked) | _rows(then)


def test_only_training_rows_are_asked_for(digits: Data) -> None:
    """Validation rows have hidden labels, too, and the model is unsure of them as well."""
    few = digits.select(np.arange(400)).with_validation(0.6).with_labels(30, draw="stratified")
    hidden = int((~few.training.labelled).sum())
    asked: list[Data] = []

    def oracle(rows: Data) -> Sequence[int]:
        asked.append(rows)
        return list(rows.take("label"))

    for method in (ActiveLearning(base=BASE, questions=hidden, rounds=2),
                   ActiveLearning(base=BASE, questions=hidden, rounds=2, oracle=oracle)):  # fmt: skip
        assert _rows(method.fit(few).lineage.rows) == _rows(few.training.ids)
    assert all((rows.part[rows.rows] == 0).all() for rows in asked)
    with pytest.raises(NeedsError, match=f"and {hidden} training rows have a hidden label"):
        ActiveLearning(base=BASE, questions=hidden + 1, rounds=2).fit(few)
