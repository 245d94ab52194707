"""LabelPropagation: scikit-learn's own predictions, for rows it has seen and for new ones."""

import numpy as np
import pytest
from sklearn.semi_supervised import LabelPropagation as Clamped
from sklearn.semi_supervised import LabelSpreading

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
    few = digits.with_labels(60)
    options = {"kernel": kernel, "gamma": 1.5, "n_neighbors": 5, "max_iter": 100 if alpha else 1000}
    reference = LabelSpreading(alpha=alpha, **options) if alpha else Clamped(**options)
    reference.fit(_pixels(few.training), _labels(few.training))
    model = LabelPropagation(kernel=kernel, gamma=1.5, neighbours=5, alpha=alpha).fit(few)  # type: ignore[arg-type]
    for rows in (few.training, few.test):
        assert np.array_equal(model.predict(rows), reference.predict(_pixels(rows)))
    np.testing.assert_allclose(model.probabilities(few.test), reference.predict_proba(_pixels(few.test)), atol=1e-4)


def test_sharp_kernel_answers_where_scikit_learns_underflows(digits: Data) -> None:
    few = digits.with_labels(60)
    model = LabelPropagation(kernel="rbf", gamma=200.0).fit(few)
    assert np.isfinite(model.probabilities(digits.test)).all()
    assert model.evaluate(digits.test)["accuracy"] > 0.6


def test_unlabelled_rows_carry_the_labels(digits: Data) -> None:
    """The known result on digits: with 40 labels, flowing over all rows beats a linear model of those 40."""
    few = digits.with_labels(40)
    flowing = LabelPropagation().fit(few).evaluate(digits.test)["accuracy"]
    alone = LinearProbe(penalty=1.0).fit(few).evaluate(digits.test)["accuracy"]
    assert flowing > 0.85
    assert flowing > alone + 0.03


def test_alpha_lets_wrong_labels_be_overruled(digits: Data) -> None:
    few = digits.with_labels(200)
    shown = np.flatnonzero(few.labelled & (few.part[few.rows] == 0))
    wrong = shown[::8]
    noisy = few.with_label_values(wrong, (few.take("label")[wrong] + 1) % 10)
    truth = few.select(wrong).take("label")
    kept = (LabelPropagation(alpha=0.0).fit(noisy).predict(noisy.select(wrong)) == truth).mean()
    overruled = (LabelPropagation(alpha=0.9).fit(noisy).predict(noisy.select(wrong)) == truth).mean()
    assert overruled > kept + 0.2


def test_rows_that_no_label_reaches_have_no_opinion(digits: Data) -> None:
    few = digits.with_labels(10)
    model = LabelPropagation(kernel="knn", neighbours=1, alpha=0.0).fit(few)
    certainty = model.probabilities(few.training).max(1)
    assert np.isfinite(certainty).all()
    assert certainty.min() == pytest.approx(0.1, abs=1e-3)


def test_rbf_over_too_many_rows_is_refused(digits: Data) -> None:
    many = digits.select(np.resize(np.arange(len(digits)), 2 * MOST_ROWS_RBF)).with_labels(40)
    with pytest.raises(NeedsError, match="use kernel='knn'"):
        LabelPropagation(kernel="rbf").fit(many)
