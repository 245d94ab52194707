"""LabelPropagation: scikit-learn's own predictions, for rows it has seen and for new ones."""

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.semi_supervised import LabelPropagation as Clamped
from sklearn.semi_supervised import LabelSpreading

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.semi_supervised.label_propagation import MOST_ROWS_RBF, LabelPropagation
from manyways.methods.transfer.linear_probe import LinearProbe


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1)


def _labels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return np.where(data.labelled, data.take("label"), -1)


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.7])
@pytest.mark.parametrize("kernel", ["knn", "rbf"])
def test_predictions_are_those_of_scikit_learn(kernel: str, alpha: float, digits: Data) -> None:
    few = digits.with_labels(60, draw="stratified")
    options = {"kernel": kernel, "gamma": 1.5, "n_neighbors": 5, "max_iter": 100 if alpha else 1000}
    options["tol"] = 1e-9 if alpha else 1e-3
    reference = LabelSpreading(alpha=alpha, **options) if alpha else Clamped(**options)
    with np.errstate(invalid="ignore"):  # rows that no label reaches
        reference.fit(_pixels(few.training), _labels(few.training))
    model = LabelPropagation(kernel=kernel, gamma=1.5, neighbours=5, alpha=alpha).fit(few)  # type: ignore[arg-type]
    with np.errstate(invalid="ignore"):
        expected = reference.predict_proba(_pixels(few.test))
    reached = np.isfinite(expected).all(axis=1) & (np.sort(expected, axis=1)[:, -1] > np.sort(expected, axis=1)[:, -2])
    assert reached.mean() > 0.9
    if kernel == "rbf":
        np.testing.assert_allclose(model.probabilities(few.test)[reached], expected[reached], atol=1e-4)
    agree = model.predict(few.test)[reached] == reference.classes_[expected[reached].argmax(axis=1)]
    assert agree.mean() > 0.99


@pytest.mark.filterwarnings("ignore:max_iter")
@pytest.mark.parametrize("kind", [Clamped, LabelSpreading])
def test_default_is_as_good_as_scikit_learns(kind: type, digits: Data) -> None:
    """On the same splits, within a point of scikit-learn's defaults for nearest neighbours."""
    ours, theirs = [], []
    for seed in range(4):
        few = digits.with_labels(40, seed, draw="stratified")
        ours.append(LabelPropagation().fit(few).evaluate(few.test)["accuracy"])
        with np.errstate(invalid="ignore"):  # rows that no label reaches
            reference = kind(kernel="knn", max_iter=1000).fit(_pixels(few.training), _labels(few.training))
            theirs.append(reference.score(_pixels(few.test), few.test.take("label")))
    assert np.mean(ours) > np.mean(theirs) - 0.01


def test_labels_reach_the_far_ends_of_two_moons() -> None:
    """Six labels flow along 400 points; scikit-learn's defaults leave 42 % undecided and are right on 82 %."""
    scores, undecided = [], []
    for seed in range(6):
        points, moon = make_moons(400, noise=0.1, random_state=seed)
        columns = [Column("x", "number", points), Column("label", "category", moon)]
        data = Data.from_columns(columns, {"input": ["x"], "label": ["label"]}, name="moons").with_labels(
            6, seed, draw="stratified"
        )
        model = LabelPropagation().fit(data)
        scores.append(model.evaluate(data)["accuracy"])
        undecided.append(model.probabilities(data).max(1) < 0.501)
    assert np.mean(scores) > 0.93
    assert np.mean(undecided) < 0.05


def test_sharp_kernel_answers_where_scikit_learns_underflows(digits: Data) -> None:
    few = digits.with_labels(60, draw="stratified")
    model = LabelPropagation(kernel="rbf", gamma=200.0).fit(few)
    probabilities = model.probabilities(digits.test)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_unlabelled_rows_carry_the_labels(digits: Data) -> None:
    """The known result on digits: with 40 labels, flowing over all rows beats a linear model of those 40."""
    few = digits.with_labels(40, draw="stratified")
    flowing = LabelPropagation().fit(few).evaluate(digits.test)["accuracy"]
    alone = LinearProbe(penalty=1.0).fit(few).evaluate(digits.test)["accuracy"]
    assert flowing > 0.85
    assert flowing > alone + 0.03


def test_alpha_lets_wrong_labels_be_overruled(digits: Data) -> None:
    few = digits.with_labels(200, draw="stratified")
    shown = np.flatnonzero(few.labelled & (few.part[few.rows] == 0))
    wrong = shown[::8]
    noisy = few.with_label_values(wrong, (few.take("label")[wrong] + 1) % 10)
    rows = noisy.part[noisy.rows] == 0
    place = np.cumsum(rows) - 1
    shares = []
    for alpha in (0.0, 0.9):
        head = LabelPropagation(alpha=alpha).fit(noisy).network.head
        assert head is not None
        given = noisy.take("label")[wrong].astype(int)
        distributions = head.get_buffer("distributions").numpy()[place[wrong]]
        shares.append(float((distributions.argmax(axis=1) == given).mean()))
    assert shares[0] == 1, "clamped labels have changed"
    assert shares[1] < 0.95, "labels were not overruled by their neighbours"


def test_rows_that_no_label_reaches_have_no_opinion(digits: Data) -> None:
    few = digits.with_labels(10, draw="stratified")
    model = LabelPropagation(kernel="knn", neighbours=1, alpha=0.0).fit(few)
    certainty = model.probabilities(few.training).max(1)
    assert np.isfinite(certainty).all()
    assert certainty.min() == pytest.approx(0.1, abs=1e-3)


def test_rbf_over_too_many_rows_is_refused(digits: Data) -> None:
    many = digits.select(np.resize(np.arange(len(digits)), 2 * MOST_ROWS_RBF)).with_labels(40, draw="stratified")
    with pytest.raises(NeedsError, match="use kernel='knn'"):
        LabelPropagation(kernel="rbf").fit(many)
