"""Rare classes: the score that a comparison takes, why, and what says less than it seems to."""

import numpy as np
import pytest

import manyways as mw
from manyways.comparison.results import Comparison
from manyways.comparison.tasks import task_of
from manyways.data.data import Data

WORDS = {"ham": "see you at home for dinner later ok", "spam": "free prize call now to claim your cash reward"}


def messages(spam: float, rows: int = 400) -> Data:
    """Short messages, of which a share is spam."""
    rng = np.random.default_rng(1)
    labels = np.where(np.arange(rows) < round(spam * rows), "spam", "ham")[rng.permutation(rows)]
    # One word of seven is of the other kind: no message gives itself away.
    words = [
        [rng.choice(WORDS[str(label) if rng.random() < 0.85 else ("ham", "spam")[label == "ham"]].split())
         for _ in range(5)]
        for label in labels
    ]  # fmt: skip
    return mw.read({"text": list(map(" ".join, words)), "label": labels}, label="label", kinds={"text": "text"})


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MANYWAYS_HOME", str(tmp_path_factory.mktemp("home")))
        methods = ["naive-bayes", "linear-probe(penalty=1.0)"]
        return mw.compare(messages(0.134), methods=methods, budget="5 steps", seeds=2, workers=0)


def test_of_messages_with_little_spam_the_score_is_balanced_accuracy(found: Comparison) -> None:
    assert found.metric == "balanced_accuracy"
    assert found.beside == ("accuracy",)
    assert found.conclusion is not None
    why = "Scored by balanced accuracy, in which every class counts the same: 13.5% of the rows are of the class 'spam'"
    assert any(caution.startswith(why) for caution in found.conclusion.cautions)


def test_always_ham_is_no_achievement_there(found: Comparison) -> None:
    line = next(entry for entry in found.entries if entry.reference)
    assert line.score == pytest.approx(0.5)
    assert (line.metrics["accuracy"] or 0) > 0.8
    assert min(entry.score or 0 for entry in found.ways) > 0.8
    assert found.ranked()[-1] is line


def test_whoever_names_a_score_gets_it() -> None:
    for metric, higher in (("roc_auc", True), ("expected_calibration_error", False)):
        data = messages(0.134, 120)
        made = mw.compare(data, methods=["naive-bayes"], metric=metric, seeds=1, workers=0, budget="1 step")
        assert (made.metric, made.notes, made.beside) == (metric, (), ())
        assert made.entries[0].score == pytest.approx(made.entries[0].metrics[metric])
        assert made.higher_is_better is higher


@pytest.mark.parametrize(
    ("counts", "rare"),
    [((50, 50), False), ((81, 19), True), ((80, 20), False), ((60, 30, 10), True), ((50, 30, 20), False)],
)
def test_a_class_is_rare_below_two_fifths_of_an_even_share(counts: tuple[int, ...], rare: bool) -> None:
    labels = np.repeat([f"class {at}" for at in range(len(counts))], counts)
    data = mw.read({"x": np.arange(len(labels)) * 1.0, "y": labels}, label="y")
    assert (task_of(data).fairer(data) is not None) == rare


def test_numbers_and_sets_of_classes_keep_their_score() -> None:
    numbers = mw.read({"x": [1.0, 2.0, 3.0], "y": [1.0, 5.0, 3.5]}, label="y")
    assert task_of(numbers).fairer(numbers) is None
